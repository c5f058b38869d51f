"""Content-Transfer-Encoding (RFC 2045 §6): bytes as they were before their journey.

Broken encodings yield what can be saved of them, and a defect; nothing here raises.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

import pybase64

from mailkit.defects import Defect

_BASE64_RUN: Final = re.compile(rb"[A-Za-z0-9+/]+")
_BLANKS: Final = b" \t\r\n"
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_PADDINGS: Final = frozenset({b"=", b"=="})
_BLANK_BEFORE_BREAK: Final = re.compile(rb"=[ \t]++(?=\r?\n)")
_INVALID_ESCAPE: Final = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")
_IDENTITY: Final = frozenset({"", "7bit", "8bit", "binary"})


def decode_transfer(data: bytes, encoding: str) -> tuple[bytes, Defect | None]:
    """Undo the transfer encoding named in lower case. Unknown ones (and uuencode) pass unchanged, flagged."""
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return decode_quoted_printable(data)
    return data, None if encoding in _IDENTITY else Defect.UNKNOWN_TRANSFER_ENCODING


def decode_base64(data: bytes) -> tuple[bytes, Defect | None]:
    """Decode base64 (RFC 2045 §6.8). The fast way is taken when its result has the length it must have."""
    # Ten times as fast as binascii, but it takes a "=" amid the data for zero bits.
    decode = pybase64.b64decode if _ends_at_padding(data) else binascii.a2b_base64
    try:
        decoded = decode(data)
    except binascii.Error:
        return _salvage_base64(data)
    unpadded = len(decoded) + _padding(data)
    if unpadded == _decoded_size(len(data), _regular_blanks(data)):
        return decoded, None
    if unpadded == _decoded_size(len(data), data.count(b"\n") + data.count(b"\r")):
        return decoded, None
    return _salvage_base64(data)


def _ends_at_padding(data: bytes) -> bool:
    first = data.find(b"=")
    return first < 0 or (len(data) - first < 10 and data[first:].translate(None, _BLANKS) in _PADDINGS)


def _decoded_size(length: int, blanks: int) -> int:
    return (length - blanks) // 4 * 3


def _regular_blanks(data: bytes) -> int:
    """Return the bytes in line ends if all lines are as long as the first: no need to count 4,000 of them."""
    first = data.find(b"\n") + 1
    if not first:
        return 0
    width = 2 if data.endswith(b"\r\n", 0, first) else 1
    rest = len(data) % first
    return len(data) // first * width + (width if rest and data.endswith(b"\n") else 0)


def _padding(data: bytes) -> int:
    tail = data[-8:].translate(None, _BLANKS)
    return 2 if tail.endswith(b"==") else int(tail.endswith(b"="))


def _salvage_base64(data: bytes) -> tuple[bytes, Defect | None]:
    """Decode run by run: foreign bytes are skipped, each padding ends a stream, a torn end is cut."""
    dirty = bool(data.translate(None, _ALPHABET + _BLANKS))
    streams = [_keep_alphabet(stream) for stream in data.split(b"=")]
    torn = any(len(stream) % 4 == 1 for stream in streams) or _is_torn(data)
    decoded = b"".join(_decode_stream(stream) for stream in streams if stream)
    if torn:
        return decoded, Defect.TRUNCATED_BASE64
    return decoded, Defect.DIRTY_BASE64 if dirty else None


def _is_torn(data: bytes) -> bool:
    return len(data.translate(None, _BLANKS).rstrip(b"=")) % 4 > 0 and not _padding(data)


def _keep_alphabet(stream: bytes) -> bytes:
    return b"".join(_BASE64_RUN.findall(stream))


def _decode_stream(stream: bytes) -> bytes:
    whole = stream[:-1] if len(stream) % 4 == 1 else stream
    return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def decode_quoted_printable(data: bytes) -> tuple[bytes, Defect | None]:
    """Decode quoted-printable (RFC 2045 §6.7); invalid escapes stay as they are written."""
    data = data.removesuffix(b"=")  # the soft break whose line end belongs to the boundary
    breaks_crlf, breaks_lf = data.count(b"=\r\n"), data.count(b"=\n")
    escapes = data.count(b"=") - breaks_crlf - breaks_lf
    decoded = binascii.a2b_qp(data)
    if len(data) - 3 * breaks_crlf - 2 * (breaks_lf + escapes) == len(decoded):
        return decoded, None
    mended = _BLANK_BEFORE_BREAK.sub(b"=", data)
    defect = Defect.INVALID_QUOTED_PRINTABLE if _INVALID_ESCAPE.search(mended) else None
    return binascii.a2b_qp(mended), defect
