"""Mails as foreign clients make them: with the standard library, not with our own builder."""

from __future__ import annotations

import email.policy
import zlib
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

PETROL, GREY = bytes((13, 92, 107)), bytes((222, 219, 212))


@dataclass(frozen=True, slots=True)
class Letter:
    """A plain mail: who writes what to whom."""

    name: str
    address: str
    recipient: str
    subject: str
    text: str

    def build(self, now: datetime) -> EmailMessage:
        """The mail as a message object that a sample may still add to."""
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = f'"{self.name}" <{self.address}>'
        message["To"] = self.recipient
        message["Subject"] = self.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = make_msgid(domain=self.address.rpartition("@")[2])
        message.set_content(self.text.strip() + "\n")
        return message


def png(width: int = 320, height: int = 200) -> bytes:
    """A small picture: a type plate in petrol and grey."""
    bar = b"\0" + PETROL * width
    stripes = b"\0" + b"".join(PETROL if x // 20 % 6 == 0 else GREY for x in range(width))
    rows = bar * 36 + stripes * (height - 36)
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def pdf(title: str) -> bytes:
    """A one-page PDF that says ``title`` (ASCII)."""
    text = f"BT /F1 18 Tf 72 760 Td ({title}) Tj ET".encode("ascii", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    size, start = len(objects) + 1, len(body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % size + table
    return body + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, start)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
