"""A small company: one account, two queues, an agent in each; mail comes in as the import brings it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from archive.services import store_raw
from mailaccounts.models import MailAccount, MailAccountEmployee, SmtpSettings
from mailkit.addresses import Address as Mailbox
from mailkit.parsing import parse_message
from masterdata import roles
from masterdata.models import Address, Employee
from tickets.importing import IncomingMail, import_batch, plan_batch
from tickets.models import Queue, Ticket, TicketMessage, TicketOptions

CUSTOMER = "c.meinhold@stadtwerke-lueneburg.example"
SERVICE = "service@brandis.example"


@dataclass(frozen=True)
class Office:
    """Everything the pages need to exist."""

    account: MailAccount
    options: TicketOptions
    service: Queue
    sales: Queue
    agent: User
    stranger: User


@pytest.fixture
def office(make_user) -> Office:
    account = MailAccount.objects.create(display_name="Brandis Service", email=SERVICE)
    SmtpSettings.objects.create(
        account=account,
        is_enabled=True,
        host="127.0.0.1",
        port=2525,
        security=SmtpSettings.Security.NONE,
        authentication=SmtpSettings.Authentication.NONE,
    )
    service, sales = Queue.objects.create(name="Service"), Queue.objects.create(name="Vertrieb")
    agent = make_user(roles.AGENT, username="jana")
    agent.first_name, agent.last_name = "Jana", "Petersen"
    agent.save()
    stranger = make_user(roles.AGENT, username="tobias")
    service.agents.add(agent)
    sales.agents.add(stranger)
    options = TicketOptions.objects.create(account=account, is_enabled=True, default_queue=service)
    return Office(account, options, service, sales, agent, stranger)


def letter(
    body: str = "Guten Morgen,\r\n\r\nunser Band steht.\r\n",
    *,
    sender: str = f"Carsten Meinhold <{CUSTOMER}>",
    subject: str = "Förderband FB-220 steht",
    message_id: str = "",
    headers: str = "",
    content_type: str = "text/plain; charset=utf-8",
) -> bytes:
    identity = f"Message-ID: <{message_id}>\r\n" if message_id else ""
    head = (
        f"From: {sender}\r\nTo: {SERVICE}\r\nSubject: {subject}\r\n{identity}{headers}"
        f"Date: Tue, 24 Nov 2026 06:52:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n"
    )
    return (head + body).encode()


@pytest.fixture
def receive(office: Office) -> Callable[..., TicketMessage]:
    """Bring one mail in as the import does, and give its message."""

    def bring(
        raw: bytes, *, marks: tuple[str, ...] = (), account: MailAccount | None = None
    ) -> TicketMessage:
        parsed = parse_message(raw)
        (row,) = store_raw([raw]).values()
        mail = IncomingMail(
            parsed=parsed,
            raw_id=row.pk,
            account=account or office.account,
            options=office.options if account is None else TicketOptions.objects.get(account=account),
            received_at=timezone.now(),
            sender=parsed.from_,
            reply_address=(parsed.reply_to or [parsed.from_])[0],
            delivered_to=SERVICE,
            marks=marks,
        )
        plan = plan_batch([mail])
        with transaction.atomic():
            (message,) = import_batch(plan)
        assert message is not None
        return message

    return bring


@pytest.fixture
def ticket(receive) -> Ticket:
    return receive(letter()).ticket


@pytest.fixture
def agent_client(office: Office) -> Client:
    return signed_in(office.agent)


@pytest.fixture
def stranger_client(office: Office) -> Client:
    return signed_in(office.stranger)


def personal_account(owner: User) -> MailAccount:
    """A personal mailbox of the user, who becomes an employee, with SMTP."""
    account = MailAccount.objects.create(
        display_name="Owner", email="owner@brandis.example", kind=MailAccount.Kind.PERSONAL
    )
    SmtpSettings.objects.create(
        account=account, is_enabled=True, host="127.0.0.1", port=2525, security="none", authentication="none"
    )
    address = Address.objects.create(number="900", name="Owner", is_employee=True)
    employee = Employee.objects.create(address=address, user=owner)
    MailAccountEmployee.objects.create(account=account, employee=employee)
    return account


def signed_in(user: User) -> Client:
    """A browser in which this user is signed in."""
    client = Client()
    client.force_login(user, backend="masterdata.login.EmailOrUsernameBackend")
    return client


def customer_mailbox() -> Mailbox:
    """The customer as a recipient."""
    return Mailbox("Carsten Meinhold", CUSTOMER)
