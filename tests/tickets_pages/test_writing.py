"""Answering and noting: what is sent, what is refused, and that a double click sends once."""

from __future__ import annotations

import threading
import uuid
from email import message_from_bytes
from email.policy import default

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.urls import reverse

from mailaccounts.models import SmtpSettings
from outbound.models import OutgoingMessage
from tests.tickets_pages.conftest import CUSTOMER, SERVICE, letter, signed_in
from tests.tickets_pages.pages import elements
from tickets import form_fields
from tickets.models import Ticket, TicketMessage

pytestmark = pytest.mark.django_db


def answer(**changes) -> dict:
    values = {
        "submission": str(uuid.uuid4()),
        "from_address": SERVICE,
        "to": f"Carsten Meinhold <{CUSTOMER}>",
        "text": "Guten Tag,\n\nwir kommen um 13 Uhr.",
    }
    return values | changes


@pytest.fixture
def send(agent_client, ticket):
    def post(name: str = "reply", **changes):
        return agent_client.post(reverse(f"tickets:{name}", args=[ticket.number]), answer(**changes))

    return post


def sent_mail():
    return message_from_bytes(OutgoingMessage.objects.get().raw.content_bytes, policy=default)


def test_an_answer_is_queued_with_number_and_thread_and_shown(agent_client, receive):
    original = receive(letter(message_id="frage@stadtwerke.example"))
    ticket = original.ticket
    response = agent_client.post(reverse("tickets:reply", args=[ticket.number]), answer())
    message = TicketMessage.objects.get(kind=TicketMessage.Kind.OUTGOING)
    mail = sent_mail()

    assert response.status_code == 302
    assert response.url == f"{ticket.get_absolute_url()}#m{message.pk}"
    assert mail["Subject"] == f"Re: Förderband FB-220 steht [#{ticket.number}]"
    assert mail["In-Reply-To"] == "<frage@stadtwerke.example>"
    assert mail["From"].addresses[0].addr_spec == SERVICE
    assert mail["To"].addresses[0].addr_spec == CUSTOMER
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.WAITING_CUSTOMER


def test_send_and_close_closes(send, ticket):
    send(closes="1")

    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.CLOSED


def test_copies_and_blind_copies_go_where_they_belong(send):
    send(cc="a@x.example; B <b@x.example>", bcc="geheim@x.example")
    outgoing = OutgoingMessage.objects.get()

    assert sorted(outgoing.recipients.values_list("kind", "address")) == [
        ("bcc", "geheim@x.example"), ("cc", "a@x.example"), ("cc", "b@x.example"), ("to", CUSTOMER),
    ]  # fmt: skip
    assert b"geheim" not in outgoing.raw.content_bytes


def test_files_travel_and_can_be_downloaded_again(send, agent_client, ticket):
    file = SimpleUploadedFile("../../Plan\u202e.pdf", b"%PDF", content_type="application/pdf")
    send(attachments=[file, SimpleUploadedFile("b.txt", b"zwei", content_type="text/plain")])
    names = [part.get_filename() for part in sent_mail().iter_attachments()]
    message = TicketMessage.objects.get(kind=TicketMessage.Kind.OUTGOING)
    first = message.attachments.order_by("position").first()

    assert names == ["Plan.pdf", "b.txt"]
    url = reverse("tickets:attachment", args=[ticket.number, first.pk])
    assert agent_client.get(url).content == b"%PDF"


def test_a_double_click_sends_once(send):
    token = str(uuid.uuid4())
    first, second = send(submission=token), send(submission=token)

    assert first.url == second.url
    assert OutgoingMessage.objects.count() == 1
    assert TicketMessage.objects.filter(kind=TicketMessage.Kind.OUTGOING).count() == 1


def test_a_note_sent_twice_stands_once(send):
    token = str(uuid.uuid4())
    send("note", submission=token, text="einmal")
    send("note", submission=token, text="einmal")

    assert TicketMessage.objects.filter(kind=TicketMessage.Kind.NOTE).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_the_same_moment_send_once(office, ticket):
    """Two requests of one form race through two connections."""
    data, start, answers = answer(), threading.Barrier(2), []

    def click() -> None:
        client = signed_in(office.agent)
        start.wait(10)
        try:
            answers.append(client.post(reverse("tickets:reply", args=[ticket.number]), data).status_code)
        finally:
            connection.close()

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join(30)

    assert answers == [302, 302]
    assert OutgoingMessage.objects.count() == 1
    assert TicketMessage.objects.filter(kind=TicketMessage.Kind.OUTGOING).count() == 1


def test_every_form_carries_a_token_of_its_own(agent_client, ticket):
    def token() -> str:
        html = agent_client.get(ticket.get_absolute_url()).content.decode()
        return next(a["value"] for a in elements(html, "input") if a.get("name") == "submission")

    assert token() != token()


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_a_form_without_its_token_is_not_sent(send, token):
    assert send(submission=token).status_code == 422
    assert not OutgoingMessage.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("to", "", "Dieses Feld"),
        ("to", "kein-at-zeichen", "kein-at-zeichen ist keine E-Mail-Adresse"),
        ("to", "gut@x.example, schlecht@", "schlecht@ ist keine E-Mail-Adresse"),
        ("cc", "a b@c.example", "ist keine E-Mail-Adresse"),
        ("bcc", "=?utf-8?q?a=40b?=@c.example", "ist keine E-Mail-Adresse"),
        ("text", "   \n", "noch keinen Text"),
        ("from_address", "fremd@woanders.example", "fremd@woanders.example"),
    ],
)
def test_what_cannot_be_sent_is_said_and_the_text_is_kept(send, field, value, words):
    response = send(**{"text": "Mühsam geschrieben", field: value})
    html = response.content.decode()

    assert response.status_code == 422
    assert not OutgoingMessage.objects.exists()
    assert words in html
    assert field == "text" or "Mühsam geschrieben" in html
    assert "data-open" in html
    assert "Noch nicht gesendet." in html


def test_t16_line_breaks_in_an_address_never_reach_a_header(send):
    response = send(to="a@x.example\r\nBcc: b@x.example")

    assert response.status_code == 422
    assert not OutgoingMessage.objects.exists()


def test_lost_files_are_told_after_a_refusal(send):
    file = SimpleUploadedFile("a.txt", b"x")

    assert "Anhänge müssen noch einmal" in send(to="nichts", attachments=[file]).content.decode()


@pytest.mark.parametrize(
    ("limit", "words"), [("MAX_FILES", "Höchstens 1 Dateien"), ("MAX_TOTAL_BYTES", "größer als")]
)
def test_files_are_capped(send, monkeypatch, limit, words):
    monkeypatch.setattr(form_fields, limit, 1)
    files = [SimpleUploadedFile("a.txt", b"xx"), SimpleUploadedFile("b.txt", b"xx")]

    response = send(attachments=files)

    assert response.status_code == 422
    assert words in response.content.decode()


def test_where_no_account_can_send_the_page_names_address_and_remedy(send):
    SmtpSettings.objects.update(is_enabled=False)
    response = send(text="bleibt stehen")
    html = response.content.decode()

    assert response.status_code == 422
    assert SERVICE in html
    assert "bleibt stehen" in html
    assert not OutgoingMessage.objects.exists()


def test_w15_a_sender_the_user_may_not_use_is_refused(send):
    assert send(from_address="chef@brandis.example").status_code == 422


def test_a_note_is_internal_and_yellow(send, agent_client, ticket):
    send("note", text="Nur für uns <b>")
    html = agent_client.get(ticket.get_absolute_url()).content.decode()

    assert not OutgoingMessage.objects.exists()
    assert 'data-kind="note"' in html
    assert "Nur für uns &lt;b&gt;" in html
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.NEW


def test_an_empty_note_is_refused(send):
    response = send("note", text=" ")

    assert response.status_code == 422
    assert "Noch nicht gespeichert." in response.content.decode()


def test_the_composer_switches_by_links_without_scripts(agent_client, ticket):
    html = agent_client.get(f"{ticket.get_absolute_url()}?compose=note").content.decode()
    (form,) = [a for a in elements(html, "form") if a.get("id") == "composer"]

    assert form["action"] == reverse("tickets:note", args=[ticket.number])
    assert form["data-kind"] == "note"
    assert "from_address" not in {a.get("name") for a in elements(html, "select")}


def test_answering_all_takes_the_other_recipients_along(agent_client, receive):
    ticket = receive(letter(headers="Cc: Ilse Brandt <i.brandt@stadtwerke-lueneburg.example>\r\n")).ticket

    def cc(query: str) -> str:
        html = agent_client.get(f"{ticket.get_absolute_url()}{query}").content.decode()
        return next(a.get("value", "") for a in elements(html, "input") if a.get("name") == "cc")

    assert cc("") == ""
    assert cc("?compose=all") == "Ilse Brandt <i.brandt@stadtwerke-lueneburg.example>"


@pytest.mark.parametrize("name", ["reply", "note", "properties", "state", "take"])
def test_visiting_a_form_s_address_leads_to_the_ticket(agent_client, ticket, name):
    response = agent_client.get(reverse(f"tickets:{name}", args=[ticket.number]))

    assert response.status_code == 302
    assert response.url == ticket.get_absolute_url()


def test_w5_writing_needs_the_token_of_the_session(office, ticket):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(office.agent, backend="masterdata.login.EmailOrUsernameBackend")
    for name in ("reply", "note", "properties", "state", "take", "customer", "customer_create"):
        assert client.post(reverse(f"tickets:{name}", args=[ticket.number]), answer()).status_code == 403
    assert TicketMessage.objects.count() == 1
