"""What must hold for any bytes: `examine` reads a mail as import and pages do, and checks what came."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from mailkit.autosubmitted import autoreply_suppression_reason, is_auto_reply
from mailkit.bounces import is_bounce, parse_bounce
from mailkit.errors import MalformedMessage
from mailkit.headers import Headers, visible
from mailkit.parsing import ParsedMessage, parse_message
from mailkit.quoting import strip_quote
from mailkit.sanitize import count_remote, sanitize_html
from tickets.models import TicketMessage
from tickets.rendering import frame_document

_ACTIVE: Final = re.compile(
    r"<(?:script|style|iframe|object|embed|form|svg|math|base|meta|link)\b", re.IGNORECASE
)
_LOADING: Final = re.compile(r'<img(?: [\w-]+="[^"]*")*? src="', re.IGNORECASE)
_HANDLER: Final = re.compile(r'<[a-z0-9]+(?: [a-z-]+="[^"]*")* on[a-z]+=', re.IGNORECASE)


class Broken(AssertionError):
    """A property does not hold."""


def examine(raw: bytes) -> str:
    """Read ``raw`` in every way the product does. Returns the code if it is refused, else "".

    Raises Broken, or whatever the product must never raise.
    """
    try:
        parsed = parse_message(raw)
    except MalformedMessage as error:
        _require(bool(error.code), "a refusal without code")
        return error.code
    check_value(parsed, ParsedMessage, "parsed")
    _check_message(parsed)
    _check_headers(parsed.headers)
    _check_judgements(parsed)
    _check_views(parsed)
    return ""


def check_value(value: Any, hint: Any, name: str) -> None:
    """Raise Broken unless ``value`` has the type ``hint`` and PostgreSQL can store every text in it."""
    origin = get_origin(hint)
    if origin in {Union, UnionType}:
        hint = NoneType if value is None else next(one for one in get_args(hint) if one is not NoneType)
        origin = get_origin(hint)
    _require(isinstance(value, origin or hint), f"{name} is {type(value).__name__}, not {hint}")
    if origin is list:
        for one in value:
            check_value(one, get_args(hint)[0], f"{name}[]")
    elif is_dataclass(value):
        kind: Any = type(value)
        for field_name, field_hint in _hints(kind).items():
            check_value(getattr(value, field_name), field_hint, f"{name}.{field_name}")
    elif isinstance(value, str):
        check_storable(value, name)


def check_storable(text: str, name: str) -> None:
    """Raise Broken where PostgreSQL would refuse the text: NUL, lone surrogates."""
    _require("\0" not in text, f"{name} holds NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Broken(f"{name} holds a lone surrogate") from error


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _check_message(parsed: ParsedMessage) -> None:
    date: datetime | None = parsed.date
    _require(date is None or date.utcoffset() is not None, "a date without zone")
    _require("\r" not in parsed.text, "a CR in the text")
    _require("\n" not in parsed.subject, "a subject of several lines")
    for attachment in parsed.attachments:
        _require(attachment.size == len(attachment.content), "an attachment's size is wrong")
        _require(bool(attachment.filename), "an attachment without name")
        _require(not set(attachment.filename) & set("/\\\r\n"), "a path as an attachment's name")
    for address in (*parsed.to, *parsed.cc, *parsed.reply_to):
        _require("@" in address.address, "an address without domain")


def _check_headers(headers: Headers) -> None:
    for name, value in headers.items():
        check_storable(name, "a field's name")
        check_storable(value, name)
        _require("\n" not in value and "\r" not in value, f"{name} has several lines")


def _check_judgements(parsed: ParsedMessage) -> None:
    check_value(is_auto_reply(parsed), bool, "is_auto_reply")
    check_value(autoreply_suppression_reason(parsed), str | None, "autoreply_suppression_reason")
    bounce = parse_bounce(parsed)
    _require(is_bounce(parsed) is (bounce is not None), "is_bounce and parse_bounce disagree")
    if bounce is not None:
        check_value(bounce, type(bounce), "bounce")


def _check_views(parsed: ParsedMessage) -> None:
    check_storable(visible(parsed.subject), "visible subject")
    check_storable(strip_quote(parsed.text), "strip_quote")
    clean = sanitize_html(parsed.html)
    check_storable(clean, "sanitize_html")
    _require(not _ACTIVE.search(clean), "an active element survived")
    _require(not _HANDLER.search(clean), "an event handler survived")
    _require(not _LOADING.search(clean), "a picture would load")
    check_value(count_remote(parsed.html) if parsed.html else 0, int, "count_remote")
    message = TicketMessage(text=parsed.text, untrusted_html=parsed.html)
    frame = frame_document(message, allow_remote=False, attachment_url=lambda _: "", attachments=())
    check_storable(frame, "frame_document")


def _require(holds: bool, otherwise: str) -> None:  # an assertion that survives python -O
    if not holds:
        raise Broken(otherwise)
