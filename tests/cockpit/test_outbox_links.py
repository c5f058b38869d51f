"""The outbox shows what a mail belongs to, asking the rooms above it without knowing them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from archive.services import store_raw
from inbound.models import IncomingMessage, Mailbox
from mailaccounts.models import MailAccount
from outbound.models import OutgoingMessage
from tickets.models import Queue, Ticket, TicketMessage

pytestmark = pytest.mark.django_db


@pytest.fixture
def answer(agent) -> OutgoingMessage:
    """A sent answer of a ticket in the agent's queue, which bounced."""
    account = MailAccount.objects.create(display_name="Service", email="service@erp.example")
    (raw,) = store_raw([b"Subject: x\r\n\r\n"]).values()
    now = timezone.now()
    outgoing = OutgoingMessage.objects.create(
        account=account, purpose="ticket", from_address=account.email, message_id="a@erp.example", raw=raw,
        state="sent", next_attempt_at=now, give_up_at=now, created_by=agent,
    )  # fmt: skip
    queue = Queue.objects.create(name="Service")
    queue.agents.add(agent)
    ticket = Ticket.objects.create(
        number="20261124-00007", subject="Förderband", queue=queue, created_at=now, last_message_at=now
    )
    TicketMessage.objects.create(ticket=ticket, kind="outgoing", at=now, raw=raw, outgoing=outgoing)
    mailbox = Mailbox.objects.create(account=account, name="INBOX", uid_validity=1)
    IncomingMessage.objects.create(
        account=account, mailbox=mailbox, uid_validity=1, uid=1, internal_date=now, size=1, state="bounce",
        bounce_of=outgoing,
    )  # fmt: skip
    return outgoing


def test_the_agent_finds_the_ticket_of_the_mail(client, agent, answer):
    client.force_login(agent)
    page = client.get(answer.get_absolute_url()).content.decode()
    assert f"/tickets/20261124-00007/#m{answer.ticket_messages.get().pk}" in page


def test_an_administrator_without_the_queue_sees_no_ticket(client, mail_administrator, answer):
    client.force_login(mail_administrator)
    response = client.get(answer.get_absolute_url())
    assert response.status_code == 200
    assert "20261124-00007" not in response.content.decode()
