"""Reading FETCH responses: only what was asked for, only whole, only once (R11, R17, B90)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from imapclient.response_parser import parse_fetch_response


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
        for attributes in parse_fetch_response(response, normalise_times=False, uid_is_key=False).values():
            uid = attributes.get(b"UID")
            if uid in asked:
                messages.setdefault(uid, {}).update(_new(attributes, messages.get(uid, {})))
    return messages


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
