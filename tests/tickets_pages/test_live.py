"""Live updates of the conversation: news arrives, quiet polls cost next to nothing."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from outbound.models import OutgoingMessage
from tests.tickets_pages.conftest import SERVICE, customer_mailbox, letter
from tests.tickets_pages.mails import html_letter
from tests.tickets_pages.pages import elements
from tickets import services
from tickets.models import Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def poll(agent_client):
    """Open the page, and poll as the browser then does."""

    def start(ticket: Ticket, query: str = ""):
        html = agent_client.get(f"{ticket.get_absolute_url()}{query}").content.decode()
        (log,) = [a for a in elements(html) if a.get("id") == "log"]
        headers = json.loads(log["hx-headers"])
        return lambda: agent_client.get(log["hx-get"], headers=headers | {"HX-Request": "true"})

    return start


def test_a_quiet_poll_draws_no_mail(poll, receive, monkeypatch):
    ask = poll(receive(html_letter("<p>x</p>")).ticket)
    monkeypatch.setattr("tickets.rendering.frame_document", None)
    with CaptureQueriesContext(connection) as captured:
        response = ask()

    assert response.status_code == 304
    assert not response.content
    assert not [query for query in captured if "untrusted_html" in query["sql"]]


def test_a_new_note_arrives_as_a_fragment(poll, office, ticket):
    ask = poll(ticket)
    services.add_note(ticket=ticket, by=office.agent, text="Neuigkeit")
    response = ask()

    assert response.status_code == 200
    assert "Neuigkeit" in response.content.decode()
    assert "<html" not in response.content.decode()
    assert response.headers["ETag"]


def test_new_mail_arrives(poll, receive):
    first = receive(letter(message_id="a@x.example"))
    ask = poll(first.ticket)
    receive(letter("Noch etwas", headers="In-Reply-To: <a@x.example>\r\n"))

    assert "Noch etwas" in ask().content.decode()


def test_the_fate_of_an_answer_arrives(poll, office, ticket):
    services.reply(ticket=ticket, by=office.agent, from_address=SERVICE, to=[customer_mailbox()], text="x")
    ask = poll(ticket)
    assert ask().status_code == 304
    OutgoingMessage.objects.update(state=OutgoingMessage.State.SENT)

    assert "zugestellt" in ask().content.decode()


def test_pictures_that_were_asked_for_stay(poll, office, receive):
    message = receive(html_letter("<img src='https://a.example/1.gif'>"))
    ask = poll(message.ticket, f"?remote={message.pk}")
    assert ask().status_code == 304
    services.add_note(ticket=message.ticket, by=office.agent, text="x")
    (frame,) = elements(ask().content.decode(), "iframe")

    assert "a.example" in frame["srcdoc"]
