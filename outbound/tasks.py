"""Background work of the outbox: one task an account, never one a mail."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from celery import shared_task

from jobs import instance
from jobs.wake import wake
from mailaccounts.models import MailAccount
from outbound import copying, delivery


@shared_task(name="outbound.deliver")
def deliver(account_id: int) -> dict[str, Any]:
    """Deliver what is due for one account, then go on with what is left and with the Sent copies.

    Returns what came of it, for the log.
    """
    try:
        report = delivery.deliver(account_id)
    except MailAccount.DoesNotExist:
        return {}  # deleted since the task was sent
    if report.has_more:
        wake(deliver, account_id)
    if report.has_tried:
        append_due()
    return asdict(report)


@shared_task(name="outbound.deliver_due")
def deliver_due() -> None:
    """Find what lost wake-ups and dead workers left (R6, R8): sent by beat."""
    if not instance.is_original():
        return
    for account_id in delivery.due_account_ids():
        wake(deliver, account_id)


@shared_task(name="outbound.append_to_sent")
def append_to_sent(account_id: int) -> dict[str, Any]:
    """Copy what the account has sent into its Sent folder, for at most a slice of 25 seconds."""
    try:
        report = copying.copy_due(account_id)
    except MailAccount.DoesNotExist:
        return {}
    if report.has_more:
        wake(append_to_sent, account_id)
    return asdict(report)


@shared_task(name="outbound.append_due")
def append_due() -> None:
    """Find the accounts with Sent copies to make: sent by beat, and after every delivery."""
    if not instance.is_original():
        return
    for account_id in copying.due_account_ids():
        wake(append_to_sent, account_id)
