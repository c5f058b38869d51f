"""Mails nobody wrote: random fields, trees of parts, charsets and encodings, sound until damaged."""

from __future__ import annotations

import base64
import quopri
from random import Random
from typing import Final

ADDRESSES: Final = (
    "anna@kunde.example", '"Kunde, Anna" <anna@kunde.example>', "=?utf-8?q?M=C3=BCller?= <m@kunde.example>",
    "ceo@firma.example <evil@x.example>", "<>", "Team: a@x.example, b@x.example;", "info@müller.example",
    "MAILER-DAEMON@x.example", "noreply@x.example", "anna", "",
)  # fmt: skip
SUBJECTS: Final = (
    "Frage zur Lieferung", "=?iso-8859-1?q?R=FCckfrage?=", "=?utf-8?b?4oKs?= =?utf-8?b?8J+YgA==?=",
    "Automatische Antwort: Frage", "Undelivered Mail Returned to Sender", "AW: AW: Re: Fwd:", "",
)  # fmt: skip
FIELDS: Final = (
    ("Auto-Submitted", "auto-replied"), ("Precedence", "bulk"), ("Return-Path", "<>"), ("List-Id", "<l.x>"),
    ("Reply-To", "Anna <anna@kunde.example>"), ("In-Reply-To", "<a@x.example>"),
    ("References", "<a@x.example> <b@x.example>"), ("Delivered-To", "info@firma.example"),
    ("X-Auto-Response-Suppress", "All"), ("X-Original-Message-ID", "<o@firma.example>"),
)  # fmt: skip
TEXTS: Final = (
    "Guten Tag,\n\nwann kommt die Ware?\n",
    "Danke\n\nAm 24.11.2026 um 10:00 schrieb Anna <a@x.example>:\n> Hallo\n>> Frage\n",
    "Ja\n\nVon: Anna\nGesendet: heute\nAn: Info\nBetreff: Frage\n\nalt\n",
    "Grüße aus Köln – 5 € 😀\n-- \nAnna\n",
    "Delivery has failed: <anna@kunde.example>: 550 5.1.1 User unknown\nMessage-ID: <a@firma.example>\n",
    "Final-Recipient: rfc822; anna@kunde.example\nAction: failed\nStatus: 5.1.1\n",
)  # fmt: skip
DOCUMENTS: Final = (
    "<p>Guten Tag</p><blockquote><p>alt</p></blockquote>",
    '<img src="cid:a"><img src="https://x.example/p.png"><a href="https://x.example/">https://y.example</a>',
    "<script>alert(1)</script><svg onload=alert(1)><style>p{background:url(http://x.example)}</style>",
    "<table><tr><td>a<td>b</table><pre>x\ny</pre><ul><li>1<li>2</ul><br><hr>",
    "<math><mi><mglyph><style><img src=x onerror=alert(1)></style>",
)  # fmt: skip
CHARSETS: Final = (
    "utf-8", "iso-8859-1", "windows-1252", "us-ascii", "utf-16", "utf-7", "iso-2022-jp", "gb18030", "koi8-r",
    "rot13", "zlib", "idna", "punycode", "unicode_escape", "x-unknown", "",
)  # fmt: skip
ENCODINGS: Final = ("7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "x-yenc", "binary", "gzip")
LEAF_TYPES: Final = (
    "text/plain", "text/html", "text/calendar", "image/png", "application/pdf", "message/delivery-status",
    "text/rfc822-headers", "message/partial", "message/external-body", "text", "multipart/mixed",
)  # fmt: skip
TREES: Final = (
    "multipart/mixed", "multipart/alternative", "multipart/related", "multipart/digest",
    "multipart/signed", "multipart/report; report-type=delivery-status", "message/rfc822",
)  # fmt: skip
FILENAMES: Final = (
    "a.pdf", "../../etc/passwd", "CON", "x" * 300, "=?utf-8?q?=FF?=", "a\u202efdp.exe", "%00.txt", ".", "",
)  # fmt: skip
YEARS: Final = (1, 26, 1970, 2026, 9999)
MAX_TREE_DEPTH: Final = 5


def written_mail(random: Random) -> bytes:
    """A mail with CRLF or LF line ends, mostly sound."""
    fields = [
        ("From", random.choice(ADDRESSES)),
        ("To", ", ".join(random.choices(ADDRESSES, k=random.randint(1, 4)))),
        ("Subject", random.choice(SUBJECTS)),
        ("Date", f"Tue, {random.randint(1, 30)} Nov {random.choice(YEARS)} 09:00:00 +0100"),
        ("Message-ID", f"<{random.getrandbits(32):x}@kunde.example>"),
        *random.sample(FIELDS, random.randint(0, 4)),
    ]
    head = "".join(f"{name}: {value}\n" for name, value in fields).encode()
    mail = head + _entity(random, 0)
    return mail.replace(b"\n", b"\r\n") if random.random() < 0.7 else mail


def _entity(random: Random, depth: int) -> bytes:
    if depth < MAX_TREE_DEPTH and random.random() < 0.55:
        return _tree(random, depth)
    return _leaf(random)


def _tree(random: Random, depth: int) -> bytes:
    kind = random.choice(TREES)
    if kind == "message/rfc822":
        return b"Content-Type: message/rfc822\n\nSubject: inside\n" + _entity(random, depth + 1)
    boundary = random.choice(("b", "bb", "=_b", f"b{random.getrandbits(20)}", "--"))
    parts = [_entity(random, depth + 1) for _ in range(random.randint(0, 4))]
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\n" + part + b"\n" for part in parts)
    return f'Content-Type: {kind}; boundary="{boundary}"\n\n'.encode() + body + line + b"--\n"


def _leaf(random: Random) -> bytes:
    kind, charset, encoding = (random.choice(LEAF_TYPES), random.choice(CHARSETS), random.choice(ENCODINGS))
    head = f'Content-Type: {kind}; charset="{charset}"\nContent-Transfer-Encoding: {encoding}\n'
    if random.random() < 0.3:
        name = random.choice(FILENAMES)
        head += f'Content-Disposition: {random.choice(("attachment", "inline"))}; filename="{name}"\n'
        head += "Content-ID: <a>\n"
    return head.encode() + b"\n" + _encoded(_words(random, kind, charset), encoding)


def _words(random: Random, kind: str, charset: str) -> bytes:
    if kind.startswith(("image", "application")):
        return random.randbytes(random.randint(0, 200))
    text = random.choice(DOCUMENTS if kind == "text/html" else TEXTS) * random.randint(0, 3)
    try:
        return text.encode(charset, "replace")
    except (LookupError, UnicodeError):  # no charset of text, or one without a way to replace
        return text.encode()


def _encoded(data: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.encodebytes(data)
    return quopri.encodestring(data) if encoding == "quoted-printable" else data
