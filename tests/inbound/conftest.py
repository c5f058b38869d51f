"""A mailbox on a real Dovecot, its account, and a checker that follows every poll."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from inbound import polling
from inbound.models import AutoReply, AutoresponderOptions, IncomingMessage, Mailbox
from inbound.polling import PollReport
from inbound.reasons import Reason
from inbound.selectors import ledger_balance
from mailaccounts import credentials
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from tests.servers import Dovecot, MailUser
from tickets.models import Queue, Ticket, TicketMessage, TicketOptions

State = IncomingMessage.State
_numbers = itertools.count(1)


def mail(
    subject: str = "Frage zur Lieferung",
    *,
    sender: str | None = "Anna Kunde <anna@kunde.example>",
    to: str = "info@firma.example",
    body: str = "Guten Tag,\r\n\r\nwann kommt die Ware?\r\n",
    headers: tuple[tuple[str, str], ...] = (),
    message_id: str | None = None,
) -> bytes:
    """A plain mail; ``headers`` are further fields in order."""
    number = next(_numbers)
    fields = [("From", sender)] if sender is not None else []
    fields += [("To", to), ("Subject", subject), ("Date", "Tue, 24 Nov 2026 09:00:00 +0100")]
    fields.append(("Message-ID", message_id or f"<m{number}@kunde.example>"))
    fields += [*headers, ("MIME-Version", "1.0"), ("Content-Type", "text/plain; charset=utf-8")]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{head}\r\n{body}".encode()


@dataclass
class Station:
    """An account and its mailbox. Every :meth:`poll` checks I1 (the ledger adds up), I2 and I3 (flags)."""

    account: MailAccount
    user: MailUser
    server: Dovecot
    options: TicketOptions
    reports: list[PollReport] = field(default_factory=list)
    tolerates_failures: bool = False

    def deliver(
        self, *mails: bytes, folder: str = "INBOX", flags: str = "", at: datetime | None = None
    ) -> None:
        """Put mails into the mailbox as they would have arrived at ``at``."""
        date = f'"{at.strftime("%d-%b-%Y %H:%M:%S %z")}"' if at else None
        self.server.deliver(self.user, *mails, folder=folder, flags=flags, internal_date=date)

    def poll(self, *, error: str = "", slice_seconds: float | None = None) -> PollReport:
        """Poll once and check what must be true after every poll."""
        before = self.server.flags(self.user)
        report = polling.poll(self.account.pk, slice_seconds=slice_seconds)
        assert report.error == error, (report.error, report.error_detail)
        self.reports.append(report)
        failed = self.rows().filter(reason=Reason.IMPORT_FAILED).values_list("detail", flat=True)
        assert self.tolerates_failures or not failed, failed[0]
        self.check(before)
        return report

    def poll_unchecked(self) -> PollReport:
        """Poll where a fault is injected that leaves the server in between."""
        return polling.poll(self.account.pk, slice_seconds=None)

    def check(self, before: dict[int, frozenset[str]]) -> None:
        """I1, I2 and I3 for the INBOX, given its flags before."""
        after = self.server.flags(self.user)
        gone = before.keys() - after.keys()
        deleted = self.rows().filter(server_copy=IncomingMessage.ServerCopy.DELETED)
        for row in deleted:
            assert row.raw is not None
            assert row.raw.verifies()  # I2
        assert gone <= set(deleted.values_list("uid", flat=True))  # I3: nothing but what we deleted is gone
        assert {uid: before[uid] for uid in after if uid in before} == {
            uid: flags for uid, flags in after.items() if uid in before
        }
        if not self.reports[-1].error and not self.reports[-1].has_more:
            self.check_balance(len(after))

    def check_balance(self, count: int) -> None:
        """I1: the ledger adds up to the server's count, and nothing is left lying about."""
        balance = ledger_balance(Mailbox.objects.get(account=self.account, name="INBOX"))
        assert balance.on_server == count
        assert balance.adds_up, balance
        tickets = TicketMessage.objects.filter(ledger_rows__account=self.account)
        assert tickets.count() == self.rows().filter(ticket_message__isnull=False).count()

    def rows(self):
        """The account's ledger."""
        return IncomingMessage.objects.filter(account=self.account).order_by("id")

    def states(self) -> list[str]:
        """States of the ledger's rows in order."""
        return list(self.rows().values_list("state", flat=True))

    def tickets(self):
        """Tickets made from the account's mail."""
        return Ticket.objects.filter(account=self.account).order_by("id")

    def change(self, **options) -> None:
        """Change ticket options."""
        for name, value in options.items():
            setattr(self.options, name, value)
        self.options.save()

    def answer_automatically(self, **options) -> AutoresponderOptions:
        """Switch the autoresponder on, as of an hour ago."""
        values = {
            "is_enabled": True,
            "enabled_at": timezone.now() - timedelta(hours=1),
            "subject": "Ihre Anfrage {TICKET}: {BETREFF}",
            "html": "<p>Guten Tag,</p><p>Ihre Nachricht „{BETREFF}“ hat die Nummer {TICKET}.</p>",
        }
        return AutoresponderOptions.objects.create(account=self.account, **(values | options))

    def decisions(self) -> list[str]:
        """Reasons of the autoresponder's decisions in order."""
        return list(
            AutoReply.objects.filter(account=self.account).order_by("id").values_list("reason", flat=True)
        )


@pytest.fixture
def queue(db) -> Queue:
    """A queue for tickets."""
    return Queue.objects.create(name="Support")


@pytest.fixture
def make_station(db, original, dovecot, queue):
    """Make an account with a mailbox: ``make_station("info@firma.example", port=…, sends=True)``."""

    def make(
        email: str = "", *, server: Dovecot = dovecot, port: int | None = None, sends: bool = False, **imap
    ) -> Station:
        user = server.new_user()
        account = MailAccount.objects.create(
            display_name="Info", email=email or f"info{next(_numbers)}@firma.example"
        )
        settings = ImapSettings(
            account=account,
            host="localhost",
            port=port or server.port,
            security=ImapSettings.Security.NONE,
            username=user.username,
            folders=["INBOX"],
        )
        settings.password_encrypted = credentials.encrypt(
            user.password, purpose=credentials.IMAP_PASSWORD, row_uuid=settings.uuid
        )
        for name, value in imap.items():
            setattr(settings, name, value)
        settings.save()
        if sends:
            SmtpSettings.objects.create(
                account=account,
                is_enabled=True,
                host="localhost",
                port=25,
                security="none",
                authentication="none",
            )
        options = TicketOptions.objects.create(account=account, is_enabled=True, default_queue=queue)
        return Station(account, user, server, options)

    return make


@pytest.fixture
def station(make_station) -> Station:
    """One account."""
    return make_station("info@firma.example")


@pytest.fixture
def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)
