"""Who gets to see which ticket page (T19, W1): foreign tickets and attachments do not exist."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import AuditEntry
from masterdata import roles
from tests.tickets_pages.conftest import letter, personal_account, signed_in
from tests.tickets_pages.mails import with_attachment
from tickets.models import Attachment, Ticket, TicketMessage, TicketOptions

pytestmark = pytest.mark.django_db

OF_A_TICKET = [
    ("get", "ticket"),
    ("get", "log"),
    ("post", "reply"),
    ("get", "reply"),
    ("post", "note"),
    ("get", "note"),
    ("post", "properties"),
    ("get", "properties"),
    ("post", "state"),
    ("get", "state"),
    ("post", "take"),
    ("get", "take"),
    ("get", "customer"),
    ("post", "customer"),
    ("get", "customer_create"),
    ("post", "customer_create"),
]
OF_A_FILE = ["attachment", "inline", "original"]


def call(client: Client, method: str, url: str):
    return getattr(client, method)(url, {"state": "closed", "text": "x"} if method == "post" else {})


@pytest.mark.parametrize(("method", "name"), OF_A_TICKET)
def test_t19_w1_a_foreign_ticket_does_not_exist(stranger_client, ticket, method, name):
    before = Ticket.objects.values().get()

    response = call(stranger_client, method, reverse(f"tickets:{name}", args=[ticket.number]))

    assert response.status_code == 404
    assert Ticket.objects.values().get() == before
    assert TicketMessage.objects.count() == 1


@pytest.mark.parametrize(("method", "name"), OF_A_TICKET)
def test_w1_visitors_are_led_to_the_login(ticket, method, name):
    response = call(Client(), method, reverse(f"tickets:{name}", args=[ticket.number]))

    assert response.status_code == 302
    assert response.url.startswith("/login/")


@pytest.mark.parametrize("name", OF_A_FILE)
def test_t19_w13_files_of_a_foreign_ticket_do_not_exist(stranger_client, receive, name):
    message = receive(with_attachment())
    attachment = Attachment.objects.get(message=message)
    key = message.pk if name == "original" else attachment.pk

    response = stranger_client.get(reverse(f"tickets:{name}", args=[message.ticket.number, key]))

    assert response.status_code == 404


@pytest.mark.parametrize("name", ["attachment", "inline"])
def test_t19_an_attachment_is_found_under_its_own_ticket_only(agent_client, receive, name):
    own, other = receive(with_attachment()), receive(letter(subject="Anderes"))
    attachment = Attachment.objects.get(message=own)

    response = agent_client.get(reverse(f"tickets:{name}", args=[other.ticket.number, attachment.pk]))

    assert response.status_code == 404


def test_w13_the_right_is_checked_at_every_download(agent_client, office, receive):
    message = receive(with_attachment())
    url = reverse("tickets:attachment", args=[message.ticket.number, Attachment.objects.get().pk])
    assert agent_client.get(url).status_code == 200

    office.service.agents.remove(office.agent)

    assert agent_client.get(url).status_code == 404


def test_an_agent_reads_the_tickets_of_the_own_queue_only(agent_client, stranger_client, ticket):
    assert agent_client.get(reverse("tickets:ticket", args=[ticket.number])).status_code == 200
    assert ticket.subject in agent_client.get("/tickets/").content.decode()
    assert ticket.subject not in stranger_client.get("/tickets/").content.decode()


@pytest.mark.parametrize(
    ("role", "status"),
    [(roles.STAFF, 403), (roles.AUDITOR, 403), (roles.MAIL_ADMINISTRATOR, 403), (roles.AGENT, 200)],
)
def test_w1_the_list_is_for_those_who_work_tickets(make_user, role, status):
    client = signed_in(make_user(role))

    assert client.get(reverse("tickets:list")).status_code == status
    assert client.get(reverse("tickets:create")).status_code == status


@pytest.mark.parametrize("role", [roles.STAFF, roles.AUDITOR, roles.MAIL_ADMINISTRATOR])
def test_w1_other_roles_do_not_read_tickets(make_user, ticket, role):
    client = signed_in(make_user(role))

    assert client.get(reverse("tickets:ticket", args=[ticket.number])).status_code == 404


@pytest.mark.parametrize(
    ("role", "status"),
    [(roles.STAFF, 403), (roles.AUDITOR, 403), (roles.AGENT, 403), (roles.MAIL_ADMINISTRATOR, 200)],
)
def test_w1_queues_are_for_mail_administrators(make_user, office, role, status):
    client = signed_in(make_user(role))

    for url in (
        reverse("tickets:queue_list"),
        reverse("tickets:queue_create"),
        reverse("tickets:queue_edit", args=[office.service.pk]),
    ):
        assert client.get(url).status_code == status


def test_the_owner_of_a_personal_mailbox_reads_its_tickets_and_originals(make_user, receive, office):
    owner = make_user(roles.STAFF)
    account = personal_account(owner)
    TicketOptions.objects.create(account=account, is_enabled=True, default_queue=office.sales)
    message = receive(letter(subject="Persönlich"), account=account)
    client = signed_in(owner)
    original = reverse("tickets:original", args=[message.ticket.number, message.pk])

    assert client.get(message.ticket.get_absolute_url()).status_code == 200
    assert "Persönlich" in client.get("/tickets/").content.decode()
    response = client.get(original)
    assert response.content == letter(subject="Persönlich")
    assert response.headers["Content-Disposition"].startswith("attachment; ")
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_an_agent_does_not_get_the_original_of_a_company_mailbox(agent_client, ticket):
    message = ticket.messages.get()

    response = agent_client.get(reverse("tickets:original", args=[ticket.number, message.pk]))

    assert response.status_code == 404
    assert "original/" not in agent_client.get(ticket.get_absolute_url()).content.decode()


def test_what_a_superuser_reads_is_recorded(make_user, ticket):
    client = signed_in(make_user(superuser=True))

    client.get(ticket.get_absolute_url())
    client.get(reverse("tickets:original", args=[ticket.number, ticket.messages.get().pk]))

    assert list(AuditEntry.objects.values_list("action", flat=True)) == [
        "ticket.read",
        "ticket.original_read",
    ]


def test_live_updates_do_not_record_the_same_reading_again(make_user, ticket):
    client = signed_in(make_user(superuser=True))

    client.get(reverse("tickets:log", args=[ticket.number]))

    assert not AuditEntry.objects.exists()
