"""Our side of the import benchmark, a process of its own for every step: ``prepare``, ``poll`` or ``check``.

The database is that of the environment. Each step answers with a JSON object on its last line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402  # the applications have to be set up first
from django.db.models import QuerySet  # noqa: E402

from bench.accounts import add_account, answer_automatically  # noqa: E402
from bench.processes import peak_memory  # noqa: E402
from inbound import polling  # noqa: E402
from inbound.models import AutoReply, IncomingMessage  # noqa: E402
from mailaccounts.models import MailAccount  # noqa: E402
from mailkit.parsing import parse_message  # noqa: E402
from tickets.models import TicketEvent, TicketMessage  # noqa: E402
from tickets.vocabulary import Event  # noqa: E402


def prepare(port: int, password: str, usernames: Sequence[str]) -> dict[str, Any]:
    """A migrated database with an account for every mailbox, each of which answers automatically."""
    call_command("migrate", interactive=False, verbosity=0)
    for name in usernames:
        account = add_account(
            name.partition("@")[0], port=port, username=name, password=password, security="none"
        )
        answer_automatically(account)
    return {}


def poll(account: MailAccount) -> dict[str, Any]:
    """Import the whole mailbox; seconds by the clock and of this process's CPU, memory in bytes.

    Begins at a word from outside, so that processes which start together import together.
    """
    print("ready", flush=True)
    sys.stdin.readline()
    started, started_cpu = time.monotonic(), time.process_time()
    report = polling.poll(account.pk, slice_seconds=None)
    seconds, cpu = time.monotonic() - started, time.process_time() - started_cpu
    return {"seconds": seconds, "cpu": cpu, "peak": peak_memory(), "imported": report.imported}


def check(account: MailAccount, manifest: Path) -> dict[str, Any]:
    """Count what is not as the manifest says: a mail missing or wrong, a decision or an event missing."""
    with manifest.open(encoding="utf-8") as lines:
        expected = [json.loads(line) for line in lines]
    wrong = [mail["index"] for mail in expected if _found(account, mail) != _wanted(mail)]
    undecided = abs(len(expected) - AutoReply.objects.filter(account=account).count())
    messages = TicketMessage.objects.filter(ticket__account=account)
    unrecorded = abs(
        len(expected)
        - TicketEvent.objects.filter(ticket__account=account, code=Event.CREATED).count()
        - messages.exclude(pk__in=_first_messages(messages)).count()
    )
    rows = IncomingMessage.objects.filter(account=account)
    unfinished = rows.exclude(state=IncomingMessage.State.IMPORTED).count()
    return {"wrong": len(wrong) + undecided + unrecorded + unfinished, "examples": wrong[:10]}


def _first_messages(messages: QuerySet[TicketMessage]) -> set[int]:
    return set(dict(messages.order_by("-pk").values_list("ticket_id", "pk")).values())


def _wanted(mail: dict[str, Any]) -> tuple[Any, ...]:
    return (
        mail["sha256"], mail["subject"], mail["from_name"], mail["from_addr"], mail["text_sha256"],
        [tuple(one) for one in mail["attachments"]],
    )  # fmt: skip


def _found(account: MailAccount, mail: dict[str, Any]) -> tuple[Any, ...] | None:
    named = TicketMessage.objects.filter(message_id=mail["message_id"].strip("<>"), ticket__account=account)
    message = named.select_related("raw").first()
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
    arguments.add_argument("usernames", nargs="+")
    arguments.add_argument("--port", type=int)
    arguments.add_argument("--manifest", type=Path)
    given = arguments.parse_args()
    if given.step == "prepare":
        answer = prepare(given.port, os.environ["BENCH_PASSWORD"], given.usernames)
    else:
        account = MailAccount.objects.get(imap__username=given.usernames[0])
        answer = poll(account) if given.step == "poll" else check(account, given.manifest)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
