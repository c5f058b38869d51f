"""Scheduled and woken work of incoming mail: ids only, idempotent, ends by itself."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from inbound import checking, polling
from inbound.models import PollRun
from inbound.polling import PollReport
from jobs import instance
from jobs.wake import wake
from mailaccounts.models import MailAccount

logger = logging.getLogger(__name__)


@shared_task(name="inbound.check_accounts")
def check_accounts() -> None:
    """Look at due accounts (sent by beat) and wake a poll for each that has news."""
    if not instance.is_original():
        return
    checking.check_due(lambda account_id: wake(poll_account, account_id))


@shared_task(name="inbound.poll_account")
def poll_account(account_id: int) -> None:
    """Poll one account for a slice of time; what is left is taken up by a task of its own."""
    try:
        report = polling.poll(account_id)
    except MailAccount.DoesNotExist:
        return  # deleted since the task was sent
    _log(account_id, report)
    if report.has_more and not report.error:
        wake(poll_account, account_id)


@shared_task(name="inbound.poll_now")
def poll_now(run_id: int) -> None:
    """Poll because a person asked for it, and keep the report for the page that waits for it."""
    run = PollRun.objects.get(pk=run_id)
    if run.finished_at:
        return
    report = polling.poll(run.account_id)
    run.report = report.numbers()
    run.error_code, run.error_detail = report.error, report.error_detail
    run.finished_at = timezone.now()
    run.save()
    if report.has_more and not report.error:
        wake(poll_account, run.account_id)


def _log(account_id: int, report: PollReport) -> None:
    if report.error:
        logger.warning("Poll of account %s: %s", account_id, report.error)
    elif report.new:
        logger.info("Poll of account %s: new %s, %.1f s", account_id, report.new, report.seconds)
