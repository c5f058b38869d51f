"""Accounts, rounds of the alert task at chosen times, and what the readers got."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone

from archive.services import store_raw
from cockpit.models import Alert
from cockpit.tasks import send_alerts
from inbound.models import IncomingMessage, Mailbox
from mailaccounts.models import (
    AccountHealth,
    ImapSettings,
    MailAccount,
    MailAccountEmployee,
    SmtpSettings,
)
from mailkit.parsing import ParsedMessage, parse_message
from masterdata.models import Address, Company, Employee
from outbound.models import OutgoingMessage

_numbers = itertools.count(1)


def minutes(count: float) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=count)


def month_ahead() -> datetime:
    """A last success that stays young while the tests travel."""
    return timezone.now() + timedelta(days=30)


def make_account(email: str, *, port: int = 25, sends: bool = True, **fields) -> MailAccount:
    """A company account that polls well for the next month and sends by an SMTP server on localhost."""
    account = MailAccount.objects.create(
        **{"display_name": email.partition("@")[0].capitalize(), "email": email, **fields}
    )
    ImapSettings.objects.create(account=account, host="imap.firma.example", username=email)
    SmtpSettings.objects.create(
        account=account, is_enabled=sends, host="localhost", port=port, security="none", authentication="none"
    )
    AccountHealth.objects.create(account=account, last_success_at=month_ahead())
    return account


def trouble(account: MailAccount, *, code: str = "connection_refused", age: timedelta, paused: bool = False):
    """Polling the account fails since ``age`` ago."""
    account.health.failing_since = timezone.now() - age
    account.health.error_code, account.health.is_paused = code, paused
    account.health.save()


def recover(account: MailAccount) -> None:
    """Polling works again."""
    AccountHealth.objects.filter(account=account).update(
        failing_since=None, error_code="", is_paused=False, last_success_at=month_ahead()
    )


def outgoing(account: MailAccount, **fields) -> OutgoingMessage:
    """A mail of the account in the outbox."""
    number, now = next(_numbers), timezone.now()
    [raw] = store_raw([f"Subject: {number}\r\n\r\n".encode()]).values()
    values = {"purpose": OutgoingMessage.Purpose.TICKET, "from_account": account, "next_attempt_at": now}
    return OutgoingMessage.objects.create(
        **{
            "account": account, "from_address": account.email, "message_id": f"{number}@firma.example",
            "raw": raw, "give_up_at": now + timedelta(days=5), **values, **fields,
        }
    )  # fmt: skip


def quarantined(account: MailAccount, *, age: timedelta) -> IncomingMessage:
    """A mail in the account's quarantine."""
    mailbox, _ = Mailbox.objects.get_or_create(account=account, name="INBOX", uid_validity=1)
    now = timezone.now()
    return IncomingMessage.objects.create(
        account=account, mailbox=mailbox, uid_validity=1, uid=next(_numbers), internal_date=now, size=1,
        state=IncomingMessage.State.QUARANTINED, reason="too-deep", quarantined_at=now - age,
    )  # fmt: skip


def own(account: MailAccount, user: User, **fields) -> Employee:
    """Make the account a personal one of the user."""
    account.kind = MailAccount.Kind.PERSONAL
    account.save()
    address = Address.objects.create(number=f"P{next(_numbers)}", name=str(user), is_employee=True, **fields)
    employee = Employee.objects.create(address=address, user=user)
    MailAccountEmployee.objects.create(account=account, employee=employee)
    return employee


@pytest.fixture
def firm(original) -> Company:
    """The company whose name stands in subjects."""
    return Company.objects.create(name="Brandis", main_address="zentrale@firma.example")


@pytest.fixture
def look(firm) -> Callable[..., None]:
    """Run the task so many minutes after its first run: ``look(0, 1, 2)``."""
    started: list[datetime] = []

    def run(*after: float) -> None:
        started.append(timezone.now())
        for count in after:
            with time_machine.travel(started[0] + minutes(count), tick=False):
                send_alerts()

    return run


def open_alerts() -> list[tuple[str, str]]:
    """Kind and account of what holds."""
    rows = Alert.objects.open().order_by("kind", "account__email").values_list("kind", "account__email")
    return [(kind, email or "") for kind, email in rows]


def mails() -> list[ParsedMessage]:
    """The alert mails in the outbox, in order."""
    rows = OutgoingMessage.objects.filter(purpose="system").exclude(state="cancelled").order_by("pk")
    return [parse_message(row.raw.content_bytes) for row in rows.select_related("raw")]
