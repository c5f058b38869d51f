"""Header fields on the wire: RFC 2047 words, RFC 2231 parameters, folding; nothing ends a field early.

Lines are at most 78 octets wherever a fold is possible and never reach 998 (RFC 5322 §2.1.1). The stdlib's
generator does the same, ten times slower, and lets some line separators through.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from mailkit.arguments import reject_line_breakers
from mailkit.errors import InvalidArgument

_PREFERRED_WIDTH = 78
_LONGEST_TOKEN = 900
_ENCODED_WORD_ROOM = 75 - len("=?utf-8?q??=")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,70}\Z")
_PLAIN_TEXT = re.compile(r"[ -~]*\Z")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_PARAMETER_TOKEN = re.compile(r"[A-Za-z0-9!#$&+.^_`{}~ (),;@-]{1,60}\Z")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q_TABLE = ["_" if b == 0x20 else chr(b) if b in _Q_SAFE else f"={b:02X}" for b in range(256)]
_LONGEST_QUOTED_NAME = 60
_PARAMETER_PIECE = 50


def field(name: str, tokens: Iterable[str]) -> bytes:
    """Return ``name: tokens`` with its CRLF, folded between tokens.

    Raises InvalidArgument for a bad name or token.
    """
    if not _FIELD_NAME.match(name):
        raise InvalidArgument("not a header field's name")
    lines = [f"{name}:"]
    for token in tokens:
        if len(token) > _LONGEST_TOKEN:
            raise InvalidArgument(f"{name} holds a word too long for a line")
        if len(lines[-1]) + 1 + len(token) > _PREFERRED_WIDTH and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += " " + token
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def text_field(name: str, value: str) -> bytes:
    """Return an unstructured field such as Subject."""
    return field(
        name, text_tokens(reject_line_breakers(value, name), first_room=_PREFERRED_WIDTH - len(name) - 2)
    )


def text_tokens(value: str, *, first_room: int = 60) -> list[str]:
    """Return ``value`` as words to fold between; encoded ones where plain ones would not survive the way."""
    words = value.split(" ")
    is_plain = (
        _PLAIN_TEXT.match(value) and "=?" not in value and all(words) and len(max(words, key=len)) <= 76
    )
    return words if is_plain or not value else encoded_words(value, first_room=first_room)


def phrase_tokens(name: str) -> list[str]:
    """Return a display name as words to fold between: atoms, one quoted string, or encoded words."""
    reject_line_breakers(name, "A display name")
    if not name:
        return []
    if "=?" not in name and len(name) <= _LONGEST_QUOTED_NAME:
        if _ATOMS.match(name):
            return name.split(" ")
        if _PLAIN_TEXT.match(name) and name.strip():
            return ['"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"']
    return encoded_words(name)


def encoded_words(value: str, *, first_room: int = 60) -> list[str]:
    """Return ``value`` as RFC 2047 words of at most 75 characters in UTF-8, no character split in two."""
    octets = value.encode("utf-8", "replace")
    q_length = sum(len(_Q_TABLE[b]) for b in octets)
    if q_length <= 4 * len(octets) / 3 + 2:
        return [f"=?utf-8?q?{word}?=" for word in _q_words(value, first_room)]
    return [f"=?utf-8?b?{word}?=" for word in _b_words(value, first_room)]


def _q_words(value: str, first_room: int) -> Iterator[str]:
    room = min(max(first_room - 12, 12), _ENCODED_WORD_ROOM)
    word = ""
    for character in value:
        coded = "".join(_Q_TABLE[b] for b in character.encode("utf-8", "replace"))
        if len(word) + len(coded) > room:
            yield word
            word, room = "", _ENCODED_WORD_ROOM
        word += coded
    yield word


def _b_words(value: str, first_room: int) -> Iterator[str]:
    room = min(max(first_room - 12, 12), _ENCODED_WORD_ROOM) // 4 * 3
    word = b""
    for character in value:
        octets = character.encode("utf-8", "replace")
        if len(word) + len(octets) > room:
            yield base64.b64encode(word).decode("ascii")
            word, room = b"", _ENCODED_WORD_ROOM // 4 * 3
        word += octets
    yield base64.b64encode(word).decode("ascii")


def parameter_tokens(name: str, value: str) -> list[str]:
    """Return a MIME parameter, in RFC 2231 pieces where it is long or not ASCII; each may begin a line."""
    reject_line_breakers(value, name)
    if not value:
        return []
    if _PARAMETER_TOKEN.match(value) and value == value.strip():
        return [f'{name}="{value}"']
    coded = quote(value, safe="!#$&+-.^_`{}~", errors="replace")
    pieces = list(_percent_pieces(coded))
    if len(pieces) == 1:
        return [f"{name}*=utf-8''{coded}"]
    pieces[0] = f"utf-8''{pieces[0]}"
    return [f"{name}*{number}*={piece}" for number, piece in enumerate(pieces)]


def _percent_pieces(coded: str) -> Iterator[str]:
    """Cut percent-encoded text into pieces, never inside a ``%XX``."""
    start = 0
    while start < len(coded):
        end = min(start + _PARAMETER_PIECE, len(coded))
        if end < len(coded):
            end -= next((back for back in (1, 2) if coded[end - back] == "%"), 0)
        yield coded[start:end]
        start = end


def with_parameters(value: str, *parameters: Iterable[str]) -> list[str]:
    """Return ``value; a=1; b=2`` as words to fold between."""
    flat = [token for group in parameters for token in group]
    return [token + ";" for token in [value, *flat][:-1]] + [value, *flat][-1:]
