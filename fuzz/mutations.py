"""Damage done to mail, the same for the same seed and corpus; no mail depends on those before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from fuzz.generator import CHARSETS, ENCODINGS, LEAF_TYPES, TREES, written_mail

CORPUS: Final = Path(__file__).resolve().parent.parent / "tests" / "corpus"
MAX_MUTATIONS: Final = 8  # of one mail
MAX_MAIL_BYTES: Final = 4 * 1024 * 1024  # damage may double a mail; that must end somewhere
_MAX_BLOCK: Final = 1_500
_TOKEN_BITS: Final = 12  # a huge token has up to 2**12 bytes, one in 200 up to 2**20
_RARE_TOKEN_BITS: Final = 20

_PIECES: Final = (
    b"<", b">", b"<div>", b"</div>", b"<!--", b"<a href=", b"<table><tr>", b"<blockquote>", b"<img src=x ",
    b"&", b"&#", b"(", b")", b'"', b"\\", b",", b";", b":", b"@", b",a@b.example", b"=?utf-8?q?",
    b"=?utf-8?b?4oKs?= ", b"=", b"=\n", b"A", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\n>", b"\n ",
    b"\n--b\n", b"--", b";x=y", b"*0=", b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xe2\x80\xae",
    b"\n-- \n", b"\nbegin 644 x\n", b"%00", b"\x1b$B", b"+ADw-", b"\nMessage-ID: <", b"\nFrom: ",
    b"\nvon: ", b"Am schrieb ", b"1.", b"http://x.",
)  # fmt: skip
_CHARSET: Final = re.compile(rb'charset="?[^";\s]*', re.IGNORECASE)
_ENCODING: Final = re.compile(rb"transfer-encoding:[ \t]*[^\s;]*", re.IGNORECASE)
_BOUNDARY: Final = re.compile(rb'boundary="?[^";\s]*', re.IGNORECASE)
_TYPE: Final = re.compile(rb"content-type:[ \t]*[^\s;]*", re.IGNORECASE)
_FIELD: Final = re.compile(rb"^[A-Za-z-]{2,40}:[^\n]*\n(?:[ \t][^\n]*\n)*", re.MULTILINE)
_SPECIAL: Final = re.compile(rb"[\n:;=<>\"@,?(]")

Mutation = Callable[[Random, bytes], bytes]


def corpus() -> list[bytes]:
    """Every mail of tests/corpus, in the order of its names."""
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.eml"))]


def mutated(originals: Sequence[bytes], *, seed: int, number: int) -> bytes:
    """Mail ``number`` of ``seed``: one of ``originals`` or a generated one, damaged one to eight times."""
    random = Random(f"{seed}:{number}")  # noqa: S311  # damage has to be repeatable, not secret
    mail = random.choice(originals) if random.random() < 0.6 else written_mail(random)
    for _ in range(random.randint(1, MAX_MUTATIONS)):
        mail = random.choice(MUTATIONS)(random, mail)[:MAX_MAIL_BYTES]
    return mail


def _position(random: Random, mail: bytes) -> int:
    """Anywhere, but half the time where syntax stands: that is where parsers decide."""
    position = random.randint(0, len(mail))
    if random.random() < 0.5 and (found := _SPECIAL.search(mail, position)):
        return found.end()
    return position


def flip_bits(random: Random, mail: bytes) -> bytes:
    """Flip up to eight bits."""
    data = bytearray(mail)
    for _ in range(random.randint(1, 8) if data else 0):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def delete_bytes(random: Random, mail: bytes) -> bytes:
    """Take a stretch out."""
    start = _position(random, mail)
    return mail[:start] + mail[start + random.choice((1, 1, 2, random.randint(1, _MAX_BLOCK))) :]


def insert_bytes(random: Random, mail: bytes) -> bytes:
    """Put random bytes in."""
    start = _position(random, mail)
    return mail[:start] + random.randbytes(random.choice((1, 2, 4, 40))) + mail[start:]


def insert_piece(random: Random, mail: bytes) -> bytes:
    """Put syntax where it does not belong."""
    start = _position(random, mail)
    return mail[:start] + random.choice(_PIECES) + mail[start:]


def insert_nuls(random: Random, mail: bytes) -> bytes:
    """Put NULs in."""
    start = _position(random, mail)
    return mail[:start] + bytes(random.choice((1, 3, 500))) + mail[start:]


def insert_huge_token(random: Random, mail: bytes) -> bytes:
    """Repeat a piece of syntax many times: what takes quadratic time or memory shows here."""
    bits = _RARE_TOKEN_BITS if random.random() < 0.005 else _TOKEN_BITS
    piece = random.choice(_PIECES)
    start = _position(random, mail)
    return mail[:start] + piece * ((1 << random.randint(4, bits)) // len(piece)) + mail[start:]


def repeat_block(random: Random, mail: bytes) -> bytes:
    """Write a stretch again, there or elsewhere."""
    start, target = _position(random, mail), _position(random, mail)
    block = mail[start : start + random.randint(1, _MAX_BLOCK)]
    return mail[:target] + block * random.choice((1, 1, 2, 10)) + mail[target:]


def truncate(random: Random, mail: bytes) -> bytes:
    """End the mail early."""
    return mail[: _position(random, mail)]


def repeat_header(random: Random, mail: bytes) -> bytes:
    """Write a field twice, or a thousand times."""
    fields = list(_FIELD.finditer(mail[:20_000]))
    if not fields:
        return mail
    field, other = random.choice(fields), random.choice(fields)
    times = random.choice((1, 1, 2, 30, 1_000 if len(field[0]) < 200 else 2))
    return mail[: other.start()] + field[0] * times + mail[other.start() :]


def swap_charset(random: Random, mail: bytes) -> bytes:
    """Claim another charset."""
    return _swapped(random, mail, _CHARSET, b"charset=" + random.choice(CHARSETS).encode())


def swap_encoding(random: Random, mail: bytes) -> bytes:
    """Claim another transfer encoding."""
    return _swapped(random, mail, _ENCODING, b"Transfer-Encoding: " + random.choice(ENCODINGS).encode())


def swap_type(random: Random, mail: bytes) -> bytes:
    """Claim another content type."""
    return _swapped(random, mail, _TYPE, b"Content-Type: " + random.choice(LEAF_TYPES + TREES).encode())


def swap_boundary(random: Random, mail: bytes) -> bytes:
    """Claim another boundary: another part's, the start of it, or nothing."""
    known = [match[0] for match in _BOUNDARY.finditer(mail)] or [b"boundary=b"]
    chosen = random.choice(known)
    return _swapped(random, mail, _BOUNDARY, chosen[: random.choice((len(chosen), 9, len(chosen) - 1))])


def swap_line_ends(random: Random, mail: bytes) -> bytes:
    """Write line ends another way."""
    line_end = random.choice((b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r"))
    return mail.replace(b"\r\n", b"\n").replace(b"\n", line_end)


def _swapped(random: Random, mail: bytes, pattern: re.Pattern[bytes], new: bytes) -> bytes:
    found = list(pattern.finditer(mail))
    if not found:
        return mail
    one = random.choice(found)
    return mail[: one.start()] + new + mail[one.end() :]


MUTATIONS: Final[tuple[Mutation, ...]] = (
    flip_bits, delete_bytes, insert_bytes, insert_piece, insert_nuls, insert_huge_token, repeat_block,
    truncate, repeat_header, swap_charset, swap_encoding, swap_type, swap_boundary, swap_line_ends,
)  # fmt: skip
