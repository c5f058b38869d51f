"""Raw mails to import."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

CUSTOMER = "c.meinhold@stadtwerke.example"
_count = itertools.count(1)


def eml(
    *,
    from_: str = f"Carsten Meinhold <{CUSTOMER}>",
    to: str = "service@brandis.example",
    subject: str = "Förderband FB-220 steht",
    text: str = "Guten Morgen,\n\nunser Förderband steht.\n",
    html: str = "",
    message_id: str | None = "",
    files: dict[str, bytes] | None = None,
    **headers: str,
) -> bytes:
    """A mail as bytes. ``message_id``: "" makes one, None leaves it out. ``headers``: ``cc="…"``."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = from_, to, subject
    mail["Date"] = format_datetime(datetime(2026, 11, 24, 6, 52, tzinfo=UTC))
    if message_id is not None:
        mail["Message-ID"] = f"<{message_id or f'm{next(_count)}@stadtwerke.example'}>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    for name, content in (files or {}).items():
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


def plain(*lines: str, body: str = "Guten Tag\n") -> bytes:
    """A mail written by hand, header line by header line, for what EmailMessage would refuse or repair."""
    return ("\r\n".join(lines) + "\r\n\r\n" + body.replace("\n", "\r\n")).encode("utf-8", "surrogateescape")
