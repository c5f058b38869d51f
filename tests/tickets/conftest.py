"""Accounts with queues and options, and mails as the importer gets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from archive.services import store_raw
from mailaccounts.models import MailAccount, SmtpSettings
from mailkit.addresses import Address
from mailkit.parsing import parse_message
from tests.tickets.mails import eml
from tickets.importing import IncomingMail, import_batch, plan_batch
from tickets.models import Queue, Ticket, TicketMessage, TicketOptions

RECEIVED = datetime(2026, 11, 24, 6, 52, tzinfo=UTC)
UNSET = Address("", "unset@invalid.example")


@pytest.fixture
def queue(db) -> Queue:
    return Queue.objects.create(name="Service")


@pytest.fixture
def make_account(db, queue) -> Callable[..., MailAccount]:
    """``make_account("a@brandis.example", closes_on_import=True)``: account, SMTP and ticket options."""

    def make(email: str = "service@brandis.example", *, sender_address: str = "", **options) -> MailAccount:
        account = MailAccount.objects.create(display_name="Brandis Service", email=email)
        SmtpSettings.objects.create(
            account=account, is_enabled=True, host="127.0.0.1", sender_address=sender_address
        )
        TicketOptions.objects.create(
            account=account, **{"is_enabled": True, "default_queue": queue} | options
        )
        return account

    return make


@pytest.fixture
def account(make_account) -> MailAccount:
    return make_account()


@pytest.fixture
def queue_agent(agent, queue):
    """An agent who works the queue."""
    queue.agents.add(agent)
    return agent


@pytest.fixture
def incoming(account) -> Callable[..., IncomingMail]:
    """One mail as inbound hands it over: ``incoming(eml(subject="…"))``."""
    default = account

    def make(
        raw: bytes | None = None, *, account: MailAccount | None = None, received_at=None, **judged
    ) -> IncomingMail:
        raw = eml() if raw is None else raw
        to = account or default
        parsed = parse_message(raw)
        with transaction.atomic():
            stored = next(iter(store_raw([raw]).values()))
        sender = judged.pop("sender", parsed.from_)
        reply_to = parsed.reply_to[0] if parsed.reply_to else sender
        return IncomingMail(
            parsed=parsed,
            raw_id=stored.pk,
            account=to,
            options=to.ticket_options,
            received_at=received_at or timezone.now() - timedelta(minutes=1),
            sender=sender,
            **{"reply_address": reply_to, "delivered_to": to.email} | judged,
        )

    return make


@pytest.fixture
def import_mails(incoming) -> Callable[..., list[TicketMessage | None]]:
    """Import raw mails, or mails made by ``incoming``, as one batch."""

    def run(*mails: bytes | IncomingMail) -> list[TicketMessage | None]:
        plan = plan_batch([one if isinstance(one, IncomingMail) else incoming(one) for one in mails])
        with transaction.atomic():
            return import_batch(plan)

    return run


@pytest.fixture
def import_mail(import_mails) -> Callable[[bytes | IncomingMail], TicketMessage]:
    """Import one mail and return its message."""

    def run(mail: bytes | IncomingMail) -> TicketMessage:
        message = import_mails(mail)[0]
        assert message is not None
        return message

    return run


@pytest.fixture
def ticket(import_mail) -> Ticket:
    """A ticket that Carsten Meinhold's mail has begun."""
    return import_mail(eml()).ticket


def marks_of(messages: Sequence[TicketMessage]) -> list[list[str]]:
    return [message.marks for message in messages]
