"""Scheduled and woken work of incoming mail: ids only, idempotent, ends by itself."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from inbound import checking, polling
from inbound.models import PollRun
from inbound.polling import PollReport
from jobs import instance
from jobs.wake import wake
from mailaccounts.models import MailAccount

_POLL_WAITS = checking.CLAIM.total_seconds()


@shared_task(name="inbound.check_accounts")
def check_accounts(failing: bool = False) -> None:
    """Look at due accounts (sent by beat) and wake a poll for each that has news.

    While one check has no thread left, beat sends another, which another worker takes.
    """
    if not instance.is_original():
        return
    if failing:
        checking.check_failing(wake_poll, on_backlog=wake_backlog)
    else:
        checking.check_due(wake_poll, failing=False, on_backlog=wake_backlog)


def wake_poll(account_id: int) -> None:
    """Let a worker poll the account soon. A task that waits too long is dropped: by then a check has sent
    another.
    """
    wake(poll_account, account_id, expires=_POLL_WAITS)


def wake_backlog(account_id: int) -> None:
    """The same behind all polls with news, so that a storm in one account delays no other (R22)."""
    wake(poll_account, account_id, queue="backlog", expires=_POLL_WAITS)


@shared_task(name="inbound.poll_account")
def poll_account(account_id: int) -> dict[str, Any]:
    """Poll one account for a slice of time; what is left is taken up by a task of its own.

    Returns what came of it, for the log.
    """
    try:
        report = polling.poll(account_id)
    except MailAccount.DoesNotExist:
        return {}  # deleted since the task was sent
    _go_on(account_id, report)
    return _outcome(account_id, report)


@shared_task(name="inbound.poll_now")
def poll_now(run_id: int) -> dict[str, Any]:
    """Poll because a person asked for it, and keep the report for the page that waits for it."""
    run = PollRun.objects.get(pk=run_id)
    if run.finished_at:
        return {}
    report = polling.poll(run.account_id)
    run.report = report.numbers()
    run.error_code, run.error_detail = report.error, report.error_detail
    run.finished_at = timezone.now()
    run.save()
    _go_on(run.account_id, report)
    return _outcome(run.account_id, report)


def _go_on(account_id: int, report: PollReport) -> None:
    if report.has_more and not report.error:
        wake_backlog(account_id)


def _outcome(account_id: int, report: PollReport) -> dict[str, Any]:
    if report.error == polling.ALREADY_POLLING:
        # No error: woken twice, and the other poll tells what came of it.
        return {"account_id": account_id, "skipped": report.error}
    return {"account_id": account_id, **report.numbers(), "error": report.error, "has_more": report.has_more}
