"""RFC 2047: encoded words in header fields, read the way mailers write them rather than as they should."""

from __future__ import annotations

import binascii
import re
from itertools import pairwise
from typing import Final

from mailkit import charsets

# The language suffix after * is RFC 2231 §5. Blanks inside the text are illegal and common.
ENCODED_WORD: Final = re.compile(r"=\?([^?*\s]{1,60})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_words(value: str) -> str:
    """Return ``value`` with its encoded words decoded (RFC 2047 §5, §6.2). Never raises, linear time.

    Blanks between two adjacent words vanish; adjacent words of one charset are joined before decoding,
    because mailers split multi-byte characters across words.
    """
    matches = list(ENCODED_WORD.finditer(value)) if "=?" in value else []
    if not matches:
        return value
    pieces = [value[: matches[0].start()]]
    pending, label = _payload(matches[0]), matches[0][1]
    for before, match in pairwise(matches):
        gap = value[before.end() : match.start()]
        adjacent = _BLANK.fullmatch(gap) is not None
        if adjacent and match[1].lower() == label.lower():
            pending.extend(_payload(match))
            continue
        pieces += [charsets.decode(bytes(pending), label)[0], "" if adjacent else gap]
        pending, label = _payload(match), match[1]
    pieces += [charsets.decode(bytes(pending), label)[0], value[matches[-1].end() :]]
    return "".join(pieces)


def _payload(match: re.Match[str]) -> bytearray:
    data = match[3].encode("utf-8", "replace")
    if match[2] in "qQ":
        return bytearray(binascii.a2b_qp(data, header=True))
    return bytearray(_base64(data))


def _base64(data: bytes) -> bytes:
    clean = _NOT_BASE64.sub(b"", data)
    if len(clean) % 4 == 1:  # one character carries six bits: no byte
        clean = clean[:-1]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
