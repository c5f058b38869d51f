"""The MIME tree of a message (RFC 2045, 2046), found by searching for boundaries in the raw bytes.

No byte is copied while the structure is read: a part is a pair of offsets. The walk keeps its own stack,
so nesting costs no recursion, and every limit is checked before anything is decoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mailkit.defects import Defect, Defects
from mailkit.errors import MalformedMessage
from mailkit.headers import Headers, read_header
from mailkit.limits import MAX_DEPTH, MAX_PARTS, MAX_TOTAL_HEADER_FIELDS
from mailkit.parameters import EMPTY, Parameterised, parse_parameterised

_AFTER_BOUNDARY: Final = re.compile(rb"(--)?[ \t]*+(?:\r\n?|\n|\Z)")
_LINE_ENDS: Final = frozenset(b"\r\n")
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")
# The first line that looks like a delimiter and is followed by a part's header.
_LIKELY_DELIMITER: Final = re.compile(rb"\n--([^\s\x00-\x1f\x7f]{1,200})[ \t]*+\r?\nContent-", re.IGNORECASE)
_TEXT_PLAIN: Final = Parameterised("text/plain")
_MESSAGE: Final = Parameterised("message/rfc822")


@dataclass(slots=True)
class Part:
    """A leaf of the tree, or an attached message; its body is ``raw[start:end]``, still encoded."""

    headers: Headers
    content_type: Parameterised
    disposition: Parameterised
    start: int
    end: int
    group: int | None  # identifies the outermost multipart/alternative around the part
    in_report: bool  # a direct child of the root multipart/report

    @property
    def encoding(self) -> str:
        """The transfer encoding in lower case, without the comment some mailers append."""
        words = (self.headers.raw("content-transfer-encoding") or "").split(maxsplit=1)
        return words[0].rstrip(";").lower() if words else ""


@dataclass(slots=True)
class Tree:
    """The root's header fields and type, and the leaves in order of appearance."""

    headers: Headers
    content_type: Parameterised
    parts: list[Part]


@dataclass(slots=True)
class _Entity:
    """Something still to be read."""

    start: int
    end: int
    depth: int = 0
    default: Parameterised = _TEXT_PLAIN
    group: int | None = None
    in_report: bool = False
    attached: bool = False  # inside an attached message: only measured


def read_tree(raw: bytes, defects: Defects) -> Tree:
    """Return the structure of ``raw``. Raises MalformedMessage where a limit is exceeded."""
    return _Walk(raw, defects).run()


class _Walk:
    """Reads entities depth first, in document order."""

    def __init__(self, raw: bytes, defects: Defects) -> None:
        self._raw = raw
        self._defects = defects
        self._entities = 0
        self._fields = 0
        self._parts: list[Part] = []
        self._stack = [_Entity(0, len(raw))]

    def run(self) -> Tree:
        """Return the tree."""
        headers, root_type = self._read(self._stack.pop())
        while self._stack:
            self._read(self._stack.pop())
        return Tree(headers, root_type, self._parts)

    def _read(self, entity: _Entity) -> tuple[Headers, Parameterised]:
        headers, body = read_header(self._raw, entity.start, entity.end, self._defects)
        self._count(headers)
        content_type = self._content_type(headers, entity.default)
        if content_type.value.startswith("multipart/") and self._split(entity, body, content_type):
            return headers, content_type
        if not entity.attached:
            self._parts.append(_leaf(headers, content_type, body, entity))
        if content_type.value == "message/rfc822":
            self._push([_Entity(body, entity.end, entity.depth + 1, attached=True)])
        return headers, content_type

    def _count(self, headers: Headers) -> None:
        self._entities += 1
        self._fields += len(headers)
        if self._fields > MAX_TOTAL_HEADER_FIELDS:
            raise MalformedMessage(code="too-many-headers")

    def _content_type(self, headers: Headers, default: Parameterised) -> Parameterised:
        text = headers.raw("content-type")
        if text is None:
            return default
        if headers.count("content-type") > 1:
            self._defects.add(Defect.TWO_CONTENT_TYPES)
        content_type = parse_parameterised(text)
        if _TYPE.fullmatch(content_type.value):
            return content_type
        self._defects.add(Defect.INVALID_CONTENT_TYPE)  # RFC 2045 §5.2: read it as text/plain
        return Parameterised("text/plain", content_type.parameters)

    def _split(self, entity: _Entity, body: int, content_type: Parameterised) -> bool:
        """Queue the parts of a multipart; False if there are none and it has to be read as a leaf."""
        spans = self._spans(body, entity.end, content_type)
        subtype = content_type.value[10:]
        group = body if entity.group is None and subtype == "alternative" else entity.group
        default = _MESSAGE if subtype == "digest" else _TEXT_PLAIN
        in_report = subtype == "report" and entity.depth == 0
        children = [
            _Entity(start, end, entity.depth + 1, default, group, in_report, entity.attached)
            for start, end in spans
        ]
        self._push(children)
        return bool(children)

    def _push(self, children: list[_Entity]) -> None:
        if children and children[0].depth > MAX_DEPTH:
            raise MalformedMessage(code="too-deep")
        if self._entities + len(self._stack) + len(children) > MAX_PARTS:
            raise MalformedMessage(code="too-many-parts")
        self._stack.extend(reversed(children))

    def _spans(self, start: int, end: int, content_type: Parameterised) -> list[tuple[int, int]]:
        boundary = content_type.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")
        if "boundary" in content_type.repeated:
            self._defects.add(Defect.TWO_BOUNDARIES)
        spans = self._cut(start, end, boundary) if boundary else []
        if spans:
            return spans
        self._defects.add(Defect.BOUNDARY_NOT_FOUND if boundary else Defect.BOUNDARY_MISSING)
        likely = _LIKELY_DELIMITER.search(self._raw, max(0, start - 1), end)
        return self._cut(start, end, likely[1]) if likely else []

    def _cut(self, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
        """Return the parts between the delimiter lines of RFC 2046 §5.1.1.

        A delimiter stands at the start of a line and fills it, so that a boundary which is the beginning of
        another one (the parent's of the child's) is not mistaken for it.
        """
        raw, delimiter = self._raw, b"--" + boundary
        spans: list[tuple[int, int]] = []
        part_start = -1
        found = raw.find(delimiter, start, end)
        while found >= 0:
            after = found + len(delimiter)
            line = _AFTER_BOUNDARY.match(raw, after, end) if _starts_line(raw, found, start) else None
            if line:
                after = line.end()
                if part_start >= 0:
                    spans.append((part_start, _before_line_end(raw, part_start, found)))
                    self._check_number(spans)
                if line[1]:
                    return spans
                part_start = after
            found = raw.find(delimiter, after, end)
        if part_start >= 0:
            self._defects.add(Defect.BOUNDARY_UNCLOSED)
            spans.append((part_start, end))
        return spans

    def _check_number(self, spans: list[tuple[int, int]]) -> None:
        if len(spans) > MAX_PARTS:
            raise MalformedMessage(code="too-many-parts")


def _starts_line(raw: bytes, position: int, start: int) -> bool:
    return position == start or raw[position - 1] in _LINE_ENDS


def _before_line_end(raw: bytes, start: int, end: int) -> int:
    """Return ``end`` moved before the line end that belongs to the delimiter following it."""
    if raw.endswith(b"\r\n", start, end):
        return end - 2
    return end - 1 if end > start else end


def _leaf(headers: Headers, content_type: Parameterised, body: int, entity: _Entity) -> Part:
    text = headers.raw("content-disposition")
    disposition = EMPTY if text is None else parse_parameterised(text)
    if content_type.value.startswith("multipart/"):  # without a boundary: better seen than hidden
        content_type = Parameterised("text/plain", {})
    return Part(headers, content_type, disposition, body, entity.end, entity.group, entity.in_report)
