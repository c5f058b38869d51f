"""Header fields of a message (RFC 5322 §2.2): splitting, unfolding, decoding, and showing them safely."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mailkit import charsets
from mailkit.defects import Defect, Defects
from mailkit.encoded_words import decode_words
from mailkit.errors import MalformedMessage
from mailkit.limits import MAX_HEADER_FIELDS, MAX_HEADER_LINES, MAX_HEADER_VALUE_BYTES

_END_OF_HEADER: Final = re.compile(rb"\n\r?\n")
_NAME: Final = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
# Name, body with its continuation lines; or a line that is no field.
_FIELD: Final = re.compile(
    rb"([!-9;-~]{1,200}+)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)|([^\n]++)(?:\n|\Z)|\n",
)
_FOLD: Final = re.compile(r"[\r\n]+[ \t]*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# What moves or hides its neighbours: bidi controls, zero-width characters, C0, C1, line separators, tags.
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]",
)


class Headers:
    """All fields of one header block in order, looked up without regard to case, decoded when asked for."""

    __slots__ = ("_fields", "_index")

    def __init__(self, fields: list[tuple[bytes, bytes, bytes]]) -> None:
        self._fields = [field for field in fields if field[0]]
        self._index: dict[str, list[bytes]] = {}
        for name, value, _ in self._fields:
            self._index.setdefault(name.decode("ascii").lower(), []).append(value)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first field of that name as one decoded line, else ``default``."""
        raw = self.raw(name)
        return default if raw is None else _decoded(raw)

    def all(self, name: str) -> list[str]:
        """Return every field of that name, topmost first, each as one decoded line."""
        return [_decoded(value) for value in self.all_raw(name)]

    def raw(self, name: str) -> str | None:
        """Return the first field of that name unfolded, its encoded words untouched, else None.

        Structured fields are parsed in this form: a decoded word must never become syntax (RFC 2047 §6.2).
        """
        values = self._index.get(name.lower())
        return unfold(values[0]) if values else None

    def all_raw(self, name: str) -> list[str]:
        """Return every field of that name unfolded, its encoded words untouched."""
        return [unfold(value) for value in self._index.get(name.lower(), ())]

    def count(self, name: str) -> int:
        """Return how often the field occurs."""
        return len(self._index.get(name.lower(), ()))

    def names(self) -> Iterator[str]:
        """Yield the lower-case names that occur, each once."""
        return iter(self._index)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield (name as written, decoded value) of every field in order."""
        return ((name.decode("ascii"), _decoded(unfold(value))) for name, value, _ in self._fields)


def unfold(value: bytes) -> str:
    """Return a raw field body as one line without control characters, cut at the limit."""
    data = value[:MAX_HEADER_VALUE_BYTES].strip()
    return _one_line(data.decode("ascii") if data.isascii() else charsets.decode(data)[0])


def _decoded(value: str) -> str:
    """Decode encoded words: these can bring the line ends and NULs back that unfolding has removed."""
    return _one_line(decode_words(value))


def _one_line(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub("", _FOLD.sub(" ", text))


def visible(text: str) -> str:
    """Return ``text`` with every invisible or reordering character written out, as in ``⟨U+202E⟩``.

    For subjects and names on pages, where a right-to-left override makes ``gpj.exe`` read ``exe.jpg``.
    """
    return _INVISIBLE.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def read_header(raw: bytes, start: int, end: int, defects: Defects) -> tuple[Headers, int]:
    """Split the header block of the entity in ``raw[start:end]`` and return it with the body's offset.

    A line that is no field ends the header, as the separating blank line was forgotten.
    Raises MalformedMessage (``too-many-headers``).
    """
    if raw.startswith((b"\n", b"\r\n"), start, end):
        return Headers([]), min(end, raw.index(b"\n", start) + 1)
    first_line_end = _line_end(raw, start, end)
    if raw.startswith((b"From ", b">From "), start, end):  # mbox separator
        start = first_line_end
    elif not _NAME.match(raw, start, end):
        defects.add(Defect.GARBAGE_IN_HEADER)
        return Headers([]), start
    match = _END_OF_HEADER.search(raw, start, end)
    block_end, body = (match.start(), match.end()) if match else (end, end)
    if raw.count(b"\n", start, block_end) > MAX_HEADER_LINES:
        raise MalformedMessage(code="too-many-headers")
    return _split(raw, start, block_end, body, defects)


def _line_end(raw: bytes, start: int, end: int) -> int:
    position = raw.find(b"\n", start, end)
    return end if position < 0 else position + 1


def _split(raw: bytes, start: int, block_end: int, body: int, defects: Defects) -> tuple[Headers, int]:
    fields = _FIELD.findall(raw, start, block_end)
    if len(fields) > MAX_HEADER_FIELDS:
        raise MalformedMessage(code="too-many-headers")
    if block_end - start > MAX_HEADER_VALUE_BYTES and any(len(f[1]) > MAX_HEADER_VALUE_BYTES for f in fields):
        defects.add(Defect.HEADER_CUT)
    for number, (_, _, garbage) in enumerate(fields):
        if garbage.strip():
            defects.add(Defect.GARBAGE_IN_HEADER)
            return Headers(fields[:number]), _garbage_offset(raw, start, block_end)
    return Headers(fields), body


def _garbage_offset(raw: bytes, start: int, block_end: int) -> int:
    found = (match.start(3) for match in _FIELD.finditer(raw, start, block_end) if (match[3] or b"").strip())
    return next(found, block_end)
