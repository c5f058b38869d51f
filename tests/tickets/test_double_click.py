"""One form sent twice at once sends one mail, on real transactions."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from mailkit.addresses import Address as Mailbox
from outbound.models import OutgoingMessage
from tests.tickets.mails import CUSTOMER
from tickets import answering
from tickets.models import Ticket, TicketMessage
from tickets.services import create_ticket, reply

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def together(monkeypatch):
    """Run a call in two threads that have both looked for an earlier message before either writes."""
    both_composed = threading.Barrier(2, timeout=10)
    compose = answering.compose

    def compose_and_wait(draft):
        composed = compose(draft)
        both_composed.wait()
        return composed

    monkeypatch.setattr(answering, "compose", compose_and_wait)

    def run(call):
        def one(_):
            try:
                return call()
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(one, range(2)))

    return run


def test_an_answer(together, ticket, queue_agent, account):
    fields = {
        "from_address": account.email,
        "to": [Mailbox("", CUSTOMER)],
        "text": "Gern.",
        "submission": uuid.uuid4(),
    }
    first, second = together(lambda: reply(ticket=ticket, by=queue_agent, **fields))
    assert first == second
    assert TicketMessage.objects.filter(kind=TicketMessage.Kind.OUTGOING).count() == 1
    assert OutgoingMessage.objects.count() == 1
    assert ticket.events.filter(code="answer.sent").count() == 1


def test_a_new_ticket(together, queue, queue_agent, account):
    fields = {
        "from_address": account.email,
        "to": [Mailbox("", CUSTOMER)],
        "subject": "Wartung",
        "text": "Guten Tag",
    }
    submission = uuid.uuid4()
    first, second = together(
        lambda: create_ticket(by=queue_agent, queue=queue, submission=submission, **fields)
    )
    assert first == second
    assert Ticket.objects.count() == OutgoingMessage.objects.count() == 1


def test_without_a_token_two_answers_are_two_answers(together, ticket, queue_agent, account):
    fields = {"from_address": account.email, "to": [Mailbox("", CUSTOMER)], "text": "Gern."}
    first, second = together(lambda: reply(ticket=ticket, by=queue_agent, **fields))
    assert first != second
    assert OutgoingMessage.objects.count() == 2
