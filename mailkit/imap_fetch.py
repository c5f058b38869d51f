"""Reading FETCH responses: only what was asked for, only whole, only once (R11, R17, B90)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from imapclient.response_parser import parse_fetch_response

# What nearly all servers answer to the two questions that we ask; imapclient reads it byte by byte in Python.
_USUAL: Final = re.compile(
    rb"\d+ \((?:(?:UID|RFC822\.SIZE) \d{1,10} ?"
    rb'|INTERNALDATE "[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}" ?)++'
    rb"(?:\)|BODY\[\] \{\d+\})"
)
_VALUE: Final = re.compile(
    rb"(UID|RFC822\.SIZE) (\d+)|(INTERNALDATE) "
    rb'"(..)-(...)-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)"'
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}


@dataclass(frozen=True)
class MessageMeta:
    """What FETCH tells of a message without its content.

    ``internal_date`` is aware; ``size`` is RFC822.SIZE, bytes.
    """

    uid: int
    internal_date: datetime
    size: int


@dataclass(frozen=True)
class RawMessage:
    """A whole message as the server keeps it. ``size`` is the number of bytes in ``content``."""

    uid: int
    internal_date: datetime
    size: int
    content: bytes = field(repr=False)


def read_fetch(parts: Iterable[Any], asked: set[int]) -> dict[int, dict[bytes, Any]]:
    """Collect the attributes of the asked UIDs from imaplib's FETCH data.

    A response that names no UID is not attributed to anything: by its sequence number it could be a
    neighbour. Where a server repeats itself, the first value stands.
    """
    messages: dict[int, dict[bytes, Any]] = {}
    for response in _responses(parts):
        for attributes in _read(response):
            uid = attributes.get(b"UID")
            if uid in asked:
                messages.setdefault(uid, {}).update(_new(attributes, messages.get(uid, {})))
    return messages


def _read(response: list[Any]) -> Iterable[dict[bytes, Any]]:
    try:
        usual = _read_usual(response)
    except (ValueError, KeyError):
        usual = None
    if usual is not None:
        return [usual]
    found: dict[int, dict[bytes, Any]] = parse_fetch_response(
        response, normalise_times=False, uid_is_key=False
    )
    return found.values()


def _read_usual(response: list[Any]) -> dict[bytes, Any] | None:
    """Read one line, or one line with the message after it, and nothing else; None for any other answer."""
    first = response[0]
    has_literal = isinstance(first, tuple)
    head = first[0] if has_literal else first
    if not _USUAL.fullmatch(head) or response[1:] != ([b")"] if has_literal else []):
        return None
    found: dict[bytes, Any] = {}
    for name, number, date, *parts in _VALUE.findall(head):
        found[name or date] = int(number) if name else _moment(*parts)
    if has_literal:
        found[b"BODY[]"] = first[1]
    return found


def _moment(day: bytes, month: bytes, *rest: bytes) -> datetime:
    """Return INTERNALDATE (RFC 3501 §9, date-time). Raises ValueError or KeyError for one that never was."""
    year, hour, minute, second, hours, minutes = map(int, rest)
    offset = timedelta(hours=hours, minutes=-minutes if rest[4].startswith(b"-") else minutes)
    return datetime(year, _MONTHS[month], int(day), hour, minute, second, tzinfo=timezone(offset))


def _new(attributes: dict[bytes, Any], known: dict[bytes, Any]) -> dict[bytes, Any]:
    return {name: value for name, value in attributes.items() if name not in known}


def _responses(parts: Iterable[Any]) -> Iterator[list[Any]]:
    """Group imaplib's flat list: a response is its literals (tuples) and the line that ends it (bytes)."""
    response: list[Any] = []
    for part in parts:
        if part is None:
            continue
        response.append(part)
        if isinstance(part, bytes):
            yield response
            response = []


def internal_date_of(attributes: dict[bytes, Any]) -> datetime:
    """Return INTERNALDATE in UTC.

    Now where the server has none or a broken one, so that no mail is held back.
    """
    value = attributes.get(b"INTERNALDATE")
    if not isinstance(value, datetime) or value.tzinfo is None:
        return datetime.now(UTC)
    try:
        moment = value.astimezone(UTC)
    except (OverflowError, ValueError):
        return datetime.now(UTC)
    # At the ends of the calendar no time zone could show it.
    return moment if 1 < moment.year < 9999 else datetime.now(UTC)
