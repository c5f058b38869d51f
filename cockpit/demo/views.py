"""A small reader of the demo's mailboxes: see what customers received, and what lies in Sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from cockpit.demo.cast import MAILBOXES, OWN_DOMAIN
from cockpit.demo.mailboxes import FOLDERS, DemoMailboxes
from mailkit.parsing import parse_message

SHOWN_MAILS = 50
READABLE_FOLDERS = ("INBOX", *FOLDERS)


@dataclass(frozen=True, slots=True)
class Shown:
    """One mail of a demo mailbox as the page shows it."""

    sender: str
    recipients: str
    subject: str
    date: datetime | None
    text: str
    attachments: list[str]


@require_GET
def mailboxes(request: HttpRequest) -> HttpResponse:
    """All mailboxes with the number of mails in INBOX and Sent."""
    store = DemoMailboxes(Path(settings.DEMO_FOLDER) / "mail")
    rows = [
        {
            "address": address,
            "password": password,
            "is_own": address.endswith(OWN_DOMAIN),
            **counts(store, address),
        }
        for address, password in MAILBOXES.items()
        if store.exists(address)
    ]
    return render(request, "cockpit/demo_mailboxes.html", {"rows": rows})


@require_GET
def mailbox(request: HttpRequest, address: str, folder: str) -> HttpResponse:
    """The newest mails of one folder, as plain text."""
    store = DemoMailboxes(Path(settings.DEMO_FOLDER) / "mail")
    if address not in MAILBOXES or folder not in READABLE_FOLDERS or not store.exists(address):
        raise Http404
    newest = [raw for _, raw in store.messages(address, folder)][:SHOWN_MAILS]
    context = {
        "address": address,
        "folder": folder,
        "folders": READABLE_FOLDERS,
        "mails": [shown(raw) for raw in newest],
    }
    return render(request, "cockpit/demo_mailbox.html", context)


def counts(store: DemoMailboxes, address: str) -> dict[str, int]:
    """How many mails lie in INBOX and in Sent."""
    return {
        "inbox": sum(1 for _ in store.messages(address)),
        "sent": sum(1 for _ in store.messages(address, "Sent")),
    }


def shown(raw: bytes) -> Shown:
    """A mail reduced to what the reader shows."""
    parsed = parse_message(raw)
    return Shown(
        sender=f"{parsed.from_.name} <{parsed.from_.address}>" if parsed.from_ else "–",
        recipients=", ".join(address.address for address in (*parsed.to, *parsed.cc)),
        subject=parsed.subject,
        date=parsed.date,
        text=parsed.text,
        attachments=[attachment.filename for attachment in parsed.attachments if not attachment.is_inline],
    )
