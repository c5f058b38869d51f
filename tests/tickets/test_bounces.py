"""Bounces join the mail they belong to (R28)."""

from __future__ import annotations

import pytest

from mailkit.addresses import Address
from outbound.drafts import Draft
from outbound.models import OutgoingMessage
from outbound.services import queue_message, send_again
from tests.tickets.mails import eml
from tickets.models import Ticket, TicketMessage
from tickets.selectors import answer_recipients
from tickets.services import change_ticket, reply
from tickets.vocabulary import Event, Mark

State = Ticket.State


@pytest.fixture
def answer(ticket, queue_agent, account) -> TicketMessage:
    to = answer_recipients(ticket).to
    return reply(ticket=ticket, by=queue_agent, from_address=account.email, to=to, text="Gern.", closes=True)


def _bounce(incoming, **judged):
    raw = eml(from_="MAILER-DAEMON@mx.example", subject="Undelivered Mail Returned to Sender")
    return incoming(raw, is_bounce=True, **judged)


def test_r28_the_bounce_of_an_answer_joins_its_ticket_and_reopens_it(import_mail, incoming, ticket, answer):
    message = import_mail(_bounce(incoming, bounce_of=answer.outgoing))
    ticket.refresh_from_db()
    assert (message.ticket, message.kind) == (ticket, TicketMessage.Kind.BOUNCE)
    assert message.marks == [Mark.BOUNCE]
    assert (ticket.state, ticket.closed_at) == (State.OPEN, None)
    assert ticket.events.get(code=Event.BOUNCED).data == {"outgoing": answer.outgoing_id}
    assert ticket.events.filter(code=Event.STATE_CHANGED).last().data["cause"] == "bounce"
    assert not ticket.participants.filter(address__startswith="mailer-daemon").exists()


def test_r28_the_bounce_of_an_answer_sent_again_joins_its_ticket(
    import_mail, incoming, ticket, answer, queue_agent
):
    OutgoingMessage.objects.update(state=OutgoingMessage.State.FAILED)
    again = send_again(message=OutgoingMessage.objects.get(), by=queue_agent)
    assert import_mail(_bounce(incoming, bounce_of=again)).ticket == ticket
    ticket.refresh_from_db()
    assert ticket.state == State.OPEN


def test_r28_the_bounce_of_an_automatic_answer_wakes_nobody(import_mail, incoming, ticket, queue_agent):
    automatic = _outgoing(OutgoingMessage.Purpose.AUTO_REPLY)
    TicketMessage.objects.create(
        ticket=ticket, kind=TicketMessage.Kind.AUTO_REPLY, at=ticket.created_at, outgoing=automatic
    )
    change_ticket(ticket=ticket, by=queue_agent, state=State.CLOSED)
    assert import_mail(_bounce(incoming, bounce_of=automatic)).ticket == ticket
    ticket.refresh_from_db()
    assert ticket.state == State.CLOSED


def test_r28_the_bounce_of_a_mail_without_ticket_makes_none(import_mails, incoming, account):
    system = _outgoing(OutgoingMessage.Purpose.SYSTEM)
    results = import_mails(_bounce(incoming, bounce_of=system), incoming(eml(subject="echt")))
    assert results[0] is None
    assert results[1] is not None
    assert Ticket.objects.count() == 1


def test_r28_an_unmatched_bounce_becomes_a_marked_ticket(import_mail, incoming):
    message = import_mail(_bounce(incoming))
    assert message.kind == TicketMessage.Kind.BOUNCE
    assert message.marks == message.ticket.marks == [Mark.BOUNCE]
    assert not message.ticket.participants.exists()


def test_r28_a_bounce_without_sender_is_no_invalid_sender(import_mail, incoming):
    assert import_mail(_bounce(incoming, sender=None)).marks == [Mark.BOUNCE]


def _outgoing(purpose: OutgoingMessage.Purpose) -> OutgoingMessage:
    draft = Draft(
        from_address="service@brandis.example",
        to=[Address("", "weg@kunde.example")],
        subject="x",
        text="x",
        purpose=purpose,
    )
    return queue_message(draft=draft, by=None)
