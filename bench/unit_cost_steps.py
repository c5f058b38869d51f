"""What one check, poll, mail and delivery cost, measured in a process of its own with the product's code.

The database is that of the environment, prepared by ``bench.poller``; the answer is a JSON object on the last
line, in seconds. Nobody else waits or works meanwhile, so the clock measures work.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import TypeVar

import django

django.setup()

from django.utils import timezone  # noqa: E402  # the applications have to be set up first

from bench.accounts import add_account  # noqa: E402
from inbound import checking, polling  # noqa: E402
from mailaccounts.models import AccountHealth, MailAccount, SmtpSettings  # noqa: E402
from mailkit.addresses import Address  # noqa: E402
from outbound import delivery  # noqa: E402
from outbound.drafts import Draft  # noqa: E402
from outbound.models import OutgoingMessage  # noqa: E402
from outbound.services import queue_message  # noqa: E402

T = TypeVar("T")

REPEATS = 20
DELIVERIES = 40


def measure(imap_port: int, username: str, smtp_port: int) -> dict[str, float]:
    """All unit costs: the mailbox of ``username`` is full, those of the prepared accounts have no news."""
    idle = list(MailAccount.objects.all())
    full = add_account(
        "full", port=imap_port, username=username, password=os.environ["BENCH_PASSWORD"], security="tls"
    )
    AccountHealth.objects.create(account=full)
    AccountHealth.objects.update(next_poll_at=timezone.now() + checking.CLAIM)
    check = typical(lambda: checking.check_due(_ignore))
    AccountHealth.objects.exclude(account=full).update(next_poll_at=timezone.now())
    computed = time.process_time()
    asked = checking.check_due(_ignore)
    computed = time.process_time() - computed
    poll = typical(lambda: polling.poll(idle[0].pk))
    report, importing = timed(lambda: polling.poll(full.pk, slice_seconds=None))
    if not report.imported:
        sys.exit(f"Nothing was imported: {report}")
    return {
        "check": check,
        "ask": computed / asked,
        "poll": poll,
        "mail": (importing - poll) / report.imported,
        "delivery": deliver(full, smtp_port),
    }


def deliver(account: MailAccount, port: int) -> float:
    """Seconds a mail, queued beforehand, delivered in one session."""
    SmtpSettings.objects.create(
        account=account, is_enabled=True, host="localhost", port=port, security="starttls",
        authentication="none",
    )  # fmt: skip
    for number in range(DELIVERIES):
        queue_message(
            draft=Draft(
                from_address=account.email,
                to=[Address("", f"customer{number}@customer.example")],
                subject="Your order",
                text="Thank you.\n" * 20,
                purpose=OutgoingMessage.Purpose.TICKET,
            ),
            by=None,
        )
    report, seconds = timed(lambda: delivery.deliver(account.pk))
    if report.sent != DELIVERIES:
        sys.exit(f"{report.sent} of {DELIVERIES} mails were delivered: {report}")
    return seconds / DELIVERIES


def typical(action: Callable[[], object]) -> float:
    """Median seconds of an action, the first time not counted."""
    action()
    return median(timed(action)[1] for _ in range(REPEATS))


def timed(action: Callable[[], T]) -> tuple[T, float]:
    """What the action returns, and its seconds."""
    started = time.monotonic()
    return action(), time.monotonic() - started


def _ignore(_account_id: int) -> None:
    """Nobody is to be woken."""


def main() -> None:
    """Measure and print the answer."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("step", choices=["measure"])
    arguments.add_argument("--imap-port", type=int, required=True)
    arguments.add_argument("--username", required=True)
    arguments.add_argument("--smtp-port", type=int, required=True)
    given = arguments.parse_args()
    print(json.dumps(measure(given.imap_port, given.username, given.smtp_port)))


if __name__ == "__main__":
    main()
