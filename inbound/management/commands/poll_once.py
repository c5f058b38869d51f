"""``manage.py poll_once``: one full poll in the foreground."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inbound import polling
from inbound.polling import PollReport
from inbound.wording import error_sentence
from mailaccounts.models import MailAccount


class Command(BaseCommand):
    """Poll every active account, or one, until nothing is left; a line per account."""

    help = "Polls all accounts once, or one of them, and prints a line for each. Exit status 1 if any failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", type=int, metavar="ID", help="only this account")

    def handle(self, **options: Any) -> None:
        accounts = _accounts(options["account"])
        failed = False
        for account in accounts:
            report = polling.poll(account.pk, slice_seconds=None)
            failed = failed or bool(report.error)
            self.stdout.write(_line(account, report))
        if failed:
            sys.exit(1)


def _accounts(account_id: int | None) -> list[MailAccount]:
    accounts = MailAccount.objects.active().filter(imap__isnull=False).order_by("pk")
    if account_id is None:
        return list(accounts)
    found = list(accounts.filter(pk=account_id))
    if not found:
        raise CommandError(f"There is no active account with IMAP settings under the id {account_id}.")
    return found


def _line(account: MailAccount, report: PollReport) -> str:
    if report.error:
        told = error_sentence(report.error, report.error_detail, host=account.imap.host)
        return f"{account}: {told} [{report.error}]"
    return (
        f"{account}: new {report.new}, imported {report.imported}, duplicate {report.duplicate}, "
        f"excluded {report.excluded}, bounce {report.bounce}, quarantined {report.quarantined}, "
        f"deleted {report.deleted}, {report.seconds:.1f} s"
    )
