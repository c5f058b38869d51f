"""Our side of the import benchmark, a process of its own for every step: ``prepare``, ``poll`` or ``check``.

The database is that of the environment. Each step answers with a JSON object on its last line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import time
from pathlib import Path
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402  # the applications have to be set up first
from django.utils import timezone  # noqa: E402

from inbound import polling  # noqa: E402
from inbound.models import AutoReply, AutoresponderOptions, IncomingMessage  # noqa: E402
from mailaccounts import credentials  # noqa: E402
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings  # noqa: E402
from mailkit.parsing import parse_message  # noqa: E402
from tickets.models import Queue, TicketEvent, TicketMessage, TicketOptions  # noqa: E402
from tickets.vocabulary import Event  # noqa: E402


def prepare(port: int, username: str, password: str) -> dict[str, Any]:
    """A migrated database with one account that polls the mailbox and answers automatically."""
    call_command("migrate", interactive=False, verbosity=0)
    account = MailAccount.objects.create(display_name="Support", email="support@erp.example")
    imap = ImapSettings(
        account=account,
        host="localhost",
        port=port,
        security=ImapSettings.Security.NONE,
        username=username,
        folders=["INBOX"],
    )
    imap.password_encrypted = credentials.encrypt(
        password, purpose=credentials.IMAP_PASSWORD, row_uuid=imap.uuid
    )
    imap.save()
    SmtpSettings.objects.create(
        account=account, is_enabled=True, host="localhost", port=25, security="none", authentication="none"
    )
    TicketOptions.objects.create(
        account=account, is_enabled=True, default_queue=Queue.objects.create(name="Support")
    )
    AutoresponderOptions.objects.create(
        account=account,
        is_enabled=True,
        enabled_at=timezone.now(),
        subject="{TICKET}",
        html="<p>{BETREFF}</p>",
    )
    return {}


def poll() -> dict[str, Any]:
    """Import the whole mailbox; seconds by the clock and of this process's CPU, memory in bytes."""
    account_id = MailAccount.objects.values_list("pk", flat=True).get()
    started, started_cpu = time.monotonic(), time.process_time()
    report = polling.poll(account_id, slice_seconds=None)
    seconds, cpu = time.monotonic() - started, time.process_time() - started_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "cpu": cpu, "peak": peak, "imported": report.imported}


def check(manifest: Path) -> dict[str, Any]:
    """Count what is not as the manifest says: a mail missing or wrong, a decision or an event missing."""
    expected = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    wrong = [mail["index"] for mail in expected if _found(mail) != _wanted(mail)]
    undecided = abs(len(expected) - AutoReply.objects.count())
    unrecorded = abs(
        len(expected)
        - TicketEvent.objects.filter(code=Event.CREATED).count()
        - TicketMessage.objects.exclude(pk__in=_first_messages()).count()
    )
    unfinished = IncomingMessage.objects.exclude(state=IncomingMessage.State.IMPORTED).count()
    return {"wrong": len(wrong) + undecided + unrecorded + unfinished, "examples": wrong[:10]}


def _first_messages() -> set[int]:
    rows = TicketMessage.objects.order_by("-pk").values_list("ticket_id", "pk")
    return set(dict(rows).values())


def _wanted(mail: dict[str, Any]) -> tuple[Any, ...]:
    return (
        mail["sha256"], mail["subject"], mail["from_name"], mail["from_addr"], mail["text_sha256"],
        [tuple(one) for one in mail["attachments"]],
    )  # fmt: skip


def _found(mail: dict[str, Any]) -> tuple[Any, ...] | None:
    message = (
        TicketMessage.objects.filter(message_id=mail["message_id"].strip("<>")).select_related("raw").first()
    )
    if message is None or message.raw is None:
        return None
    parts = parse_message(message.raw.content_bytes).attachments
    attachments = [
        (row.filename, row.size, hashlib.sha256(parts[row.position].content).hexdigest())
        for row in message.attachments.order_by("position")
        if not row.is_inline
    ]
    return (
        hashlib.sha256(message.raw.content_bytes).hexdigest(), message.subject, message.from_name,
        message.from_address, hashlib.sha256(message.text.strip().encode()).hexdigest(), attachments,
    )  # fmt: skip


def main() -> None:
    """Run one step and print its answer."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("step", choices=["prepare", "poll", "check"])
    arguments.add_argument("--port", type=int)
    arguments.add_argument("--username")
    arguments.add_argument("--password")
    arguments.add_argument("--manifest", type=Path)
    given = arguments.parse_args()
    if given.step == "prepare":
        answer = prepare(given.port, given.username, given.password)
    else:
        answer = poll() if given.step == "poll" else check(given.manifest)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
