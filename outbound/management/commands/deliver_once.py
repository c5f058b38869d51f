"""Deliver the outbox in the foreground."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.instance import UnconfirmedCopy
from mailaccounts.models import MailAccount
from outbound import claims, copying, delivery
from outbound.copying import CopyReport
from outbound.delivery import DeliveryReport


class Command(BaseCommand):
    """``deliver_once [--account ID]``: everything due, then the Sent copies, a line an account."""

    help = "Delivers what is due now, account by account, then makes the Sent copies; a line an account."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", type=int, help="id of the one account to work for")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            self._deliver(options["account"])
            self._copy(options["account"])
        except UnconfirmedCopy:
            raise CommandError(
                "This database is an unconfirmed copy: nothing is sent until an administrator confirms it."
            ) from None

    def _deliver(self, wanted: int | None) -> None:
        claims.recover_stale()
        waiting = claims.due_anywhere().values("account")
        for account in MailAccount.objects.filter(pk__in=waiting).order_by("pk"):
            if wanted in {None, account.pk}:
                self.stdout.write(_delivery_line(account, _deliver_all(account.pk)))

    def _copy(self, wanted: int | None) -> None:
        for account in MailAccount.objects.filter(pk__in=copying.due_account_ids()).order_by("pk"):
            if wanted in {None, account.pk}:
                self.stdout.write(_copy_line(account, copying.copy_due(account.pk, slice_seconds=600)))


def _deliver_all(account_id: int) -> DeliveryReport:
    total = DeliveryReport(account_id, has_more=True)
    while total.has_more:
        total.add(delivery.deliver(account_id))
    return total


def _delivery_line(account: MailAccount, report: DeliveryReport) -> str:
    counts = (
        f"sent={report.sent} failed={report.failed} uncertain={report.uncertain} deferred={report.deferred}"
    )
    return f"{account.email}: {counts}{_reason(report.error)}"


def _copy_line(account: MailAccount, report: CopyReport) -> str:
    return f"{account.email}: copied={report.copied} copy_failed={report.failed}{_reason(report.error)}"


def _reason(code: str) -> str:
    return f" waiting={code}" if code else ""
