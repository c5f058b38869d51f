"""A ticket that begins with a mail of ours."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from masterdata import roles
from masterdata.models import Address, Project
from outbound.models import OutgoingMessage
from tests.tickets_pages.conftest import CUSTOMER, SERVICE, personal_account, signed_in
from tests.tickets_pages.pages import elements
from tickets.models import Ticket, TicketOptions

pytestmark = pytest.mark.django_db
URL = "/tickets/new/"


@pytest.fixture
def data(office) -> dict:
    return {
        "submission": str(uuid.uuid4()),
        "from_address": SERVICE,
        "to": CUSTOMER,
        "subject": "Wartung im Dezember",
        "text": "Passt der 8. Dezember?",
        "queue": office.service.pk,
    }


def test_a_mail_opens_a_ticket(agent_client, data):
    customer = Address.objects.create(number="10482", name="Stadtwerke")
    project = Project.objects.create(name="Service-Nord", key="sn")
    response = agent_client.post(URL, data | {"customer_number": "10482", "project": project.pk})
    ticket = Ticket.objects.get()

    assert response.url == ticket.get_absolute_url()
    assert (ticket.subject, ticket.customer, ticket.project) == ("Wartung im Dezember", customer, project)
    assert OutgoingMessage.objects.get().subject.endswith(f"[#{ticket.number}]")
    assert "Passt der 8. Dezember?" in agent_client.get(response.url).content.decode()


def test_a_double_click_opens_one_ticket(agent_client, data):
    first, second = agent_client.post(URL, data), agent_client.post(URL, data)

    assert first.url == second.url
    assert Ticket.objects.count() == OutgoingMessage.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", "x"),
        ("subject", ""),
        ("text", ""),
        ("customer_number", "999"),
        ("queue", ""),
        ("from_address", "x@y.example"),
    ],
)
def test_what_is_missing_is_said_and_nothing_lost(agent_client, data, field, value):
    response = agent_client.post(URL, data | {field: value})
    html = response.content.decode()

    assert response.status_code == 422
    assert not Ticket.objects.exists()
    assert field == "text" or "Passt der 8. Dezember?" in html
    assert f'id="id_{field}_error"' in html


def test_t19_a_foreign_queue_cannot_be_chosen(agent_client, office, data):
    assert agent_client.post(URL, data | {"queue": office.sales.pk}).status_code == 422
    assert not Ticket.objects.exists()


def test_the_owner_of_a_mailbox_opens_tickets_in_its_queue(make_user, office, data):
    owner = make_user(roles.STAFF)
    account = personal_account(owner)
    TicketOptions.objects.create(account=account, is_enabled=True, default_queue=office.sales)
    values = {"queue": office.sales.pk, "from_address": account.email}

    response = signed_in(owner).post(URL, data | values)

    assert response.url == Ticket.objects.get().get_absolute_url()
    assert signed_in(owner).get(response.url).status_code == 200


def test_a_customer_in_the_url_fills_in_the_recipient(agent_client):
    customer = Address.objects.create(number="10482", name="Stadtwerke", email=CUSTOMER)
    html = agent_client.get(f"{URL}?customer={customer.pk}").content.decode()

    assert next(a for a in elements(html, "input") if a.get("name") == "to")["value"] == CUSTOMER


def test_without_a_queue_the_page_says_so_first(make_user, office):
    html = signed_in(make_user(roles.AGENT)).get(reverse("tickets:create")).content.decode()

    assert "noch keine Warteschlange freigegeben" in html


def test_without_a_sender_the_page_says_so_first(agent_client, office):
    office.account.retired_at = "2026-11-24T00:00Z"
    office.account.save()

    assert "noch keine Absenderadresse" in agent_client.get(URL).content.decode()
