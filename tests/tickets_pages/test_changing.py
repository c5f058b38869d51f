"""Properties, state, assignment and customer of a ticket, and who did what."""

from __future__ import annotations

import pytest
from django.urls import reverse

from audit.models import AuditEntry
from masterdata import roles, timeline
from masterdata.models import Address, ContactPerson, Project
from tests.tickets_pages.conftest import CUSTOMER, letter, signed_in
from tests.tickets_pages.pages import elements, named
from tickets.models import Queue, Ticket, TicketEvent

pytestmark = pytest.mark.django_db


def form_of(client, ticket: Ticket) -> dict[str, str]:
    """The properties form as a browser would send it unchanged."""
    html = client.get(ticket.get_absolute_url()).content.decode()
    inside = html.split('id="properties"')[1].split("</form>")[0]
    data = {a["name"]: a.get("value", "") for a in elements(inside, "input")}
    select = ""
    for tag, attributes in named(inside):
        if tag == "select":
            select = attributes["name"]
        elif tag == "option" and "selected" in attributes:
            data[select] = attributes["value"]
    return data


def change(client, ticket: Ticket, **values):
    url = reverse("tickets:properties", args=[ticket.number])
    return client.post(url, form_of(client, ticket) | {k: str(v) for k, v in values.items()})


def codes(ticket: Ticket) -> list[str]:
    return list(ticket.events.exclude(code="ticket.created").order_by("pk").values_list("code", flat=True))


def test_properties_change_with_an_event_each(agent_client, office, ticket):
    project = Project.objects.create(name="Service-Nord", key="sn")
    response = change(
        agent_client, ticket, state="clarify", priority=3, assignee=office.agent.pk, project=project.pk
    )
    ticket.refresh_from_db()

    assert response.status_code == 302
    assert (ticket.state, ticket.priority, ticket.assignee, ticket.project) == (
        "clarify",
        3,
        office.agent,
        project,
    )
    assert sorted(codes(ticket)) == [
        "assignee.changed",
        "priority.changed",
        "project.changed",
        "state.changed",
    ]
    html = agent_client.get(ticket.get_absolute_url()).content.decode()
    for words in ("In Klärung", "Priorität Hoch", "Zugewiesen an Jana Petersen", "Projekt Service-Nord"):
        assert words in html


def test_saving_unchanged_changes_nothing(agent_client, ticket):
    change(agent_client, ticket)

    assert not codes(ticket)


def test_a_page_left_open_does_not_undo_what_happened_meanwhile(agent_client, ticket):
    stale = form_of(agent_client, ticket)
    Ticket.objects.filter(pk=ticket.pk).update(state=Ticket.State.CLOSED)

    agent_client.post(reverse("tickets:properties", args=[ticket.number]), stale | {"priority": "4"})

    ticket.refresh_from_db()
    assert (ticket.state, ticket.priority) == (Ticket.State.CLOSED, Ticket.Priority.URGENT)
    assert codes(ticket) == ["priority.changed"]


def test_only_people_of_the_queue_can_be_chosen(agent_client, office, ticket):
    response = change(agent_client, ticket, assignee=office.stranger.pk)

    assert response.status_code == 422
    assert "noch nicht gespeichert" in response.content.decode()
    ticket.refresh_from_db()
    assert ticket.assignee is None


def test_a_ticket_handed_over_to_a_foreign_queue_leaves_the_list(
    agent_client, stranger_client, office, ticket
):
    response = change(agent_client, ticket, queue=office.sales.pk)

    assert response.url == reverse("tickets:list")
    assert "gehört jetzt zur Warteschlange Vertrieb" in agent_client.get(response.url).content.decode()
    assert agent_client.get(ticket.get_absolute_url()).status_code == 404
    assert stranger_client.get(ticket.get_absolute_url()).status_code == 200


@pytest.mark.parametrize("state", ["closed", "open", "spam", "trash"])
def test_one_button_sets_the_state(agent_client, ticket, state):
    agent_client.post(reverse("tickets:state", args=[ticket.number]), {"state": state})
    ticket.refresh_from_db()

    assert ticket.state == state


def test_an_unknown_state_is_refused(agent_client, ticket):
    assert (
        agent_client.post(reverse("tickets:state", args=[ticket.number]), {"state": "x"}).status_code == 404
    )


def test_a_closed_ticket_offers_to_reopen(agent_client, ticket):
    assert "Abschließen" in agent_client.get(ticket.get_absolute_url()).content.decode()
    agent_client.post(reverse("tickets:state", args=[ticket.number]), {"state": "closed"})

    assert "Wieder öffnen" in agent_client.get(ticket.get_absolute_url()).content.decode()


def test_an_agent_takes_a_ticket(agent_client, office, ticket):
    agent_client.post(reverse("tickets:take", args=[ticket.number]))
    ticket.refresh_from_db()

    assert ticket.assignee == office.agent
    assert "Mir zuweisen" not in agent_client.get(ticket.get_absolute_url()).content.decode()


def test_who_does_not_work_the_queue_cannot_take_its_ticket(make_user, ticket):
    client = signed_in(make_user(superuser=True))
    assert "Mir zuweisen" not in client.get(ticket.get_absolute_url()).content.decode()

    client.post(reverse("tickets:take", args=[ticket.number]))

    ticket.refresh_from_db()
    assert ticket.assignee is None
    assert "bearbeitet die Warteschlange" in client.get(ticket.get_absolute_url()).content.decode()


class TestCustomer:
    def url(self, ticket: Ticket, name: str = "customer") -> str:
        return reverse(f"tickets:{name}", args=[ticket.number])

    def test_colleagues_of_the_requester_are_suggested(self, agent_client, ticket):
        Address.objects.create(number="1", name="Stadtwerke", email="info@stadtwerke-lueneburg.example")
        Address.objects.create(number="2", name="Andere", email="info@andere.example")
        html = agent_client.get(self.url(ticket)).content.decode()

        assert "Stadtwerke" in html
        assert "Andere" not in html

    @pytest.mark.parametrize("text", ["meier", "4711", "Ilse", "@meier"])
    def test_addresses_are_found_by_name_number_contact_and_mail(self, agent_client, ticket, text):
        address = Address.objects.create(number="4711", name="Meier GmbH", email="info@meier.example")
        ContactPerson.objects.create(address=address, name="Ilse Brandt")
        Address.objects.create(number="9", name="Anderer")
        response = agent_client.get(self.url(ticket), {"q": text})

        assert [hit.name for hit in response.context_data["hits"]] == ["Meier GmbH"]

    def test_choosing_and_leaving_out(self, agent_client, ticket):
        address = Address.objects.create(number="1", name="Stadtwerke")
        agent_client.post(self.url(ticket), {"customer": address.pk})
        ticket.refresh_from_db()
        assert ticket.customer == address
        agent_client.post(self.url(ticket), {"customer": ""})
        ticket.refresh_from_db()

        assert ticket.customer is None
        assert codes(ticket) == ["customer.changed", "customer.changed"]

    @pytest.mark.parametrize("value", ["999", "x", "9" * 30])
    def test_unknown_addresses_do_not_exist(self, agent_client, ticket, value):
        assert agent_client.post(self.url(ticket), {"customer": value}).status_code == 404

    def test_creating_from_the_requester(self, agent_client, ticket):
        html = agent_client.get(self.url(ticket)).content.decode()
        assert {a.get("value") for a in elements(html, "input")} >= {"Carsten Meinhold", CUSTOMER}

        agent_client.post(self.url(ticket, "customer_create"), {"name": "Stadtwerke", "email": CUSTOMER})

        ticket.refresh_from_db()
        assert (ticket.customer.name, ticket.customer.is_customer) == ("Stadtwerke", True)
        assert ticket.customer.number
        assert AuditEntry.objects.filter(action="masterdata.address.created").exists()

    def test_w2_only_the_named_fields_are_taken(self, agent_client, ticket):
        extra = {field.name: "1" for field in Address._meta.concrete_fields}
        agent_client.post(
            self.url(ticket, "customer_create"), extra | {"name": "Neu", "email": CUSTOMER, "id": "77"}
        )
        created = Address.objects.get(name="Neu")

        assert (created.pk == 77, created.is_supplier, created.is_employee, created.number == "1") == (
            False,
        ) * 4

    def test_a_customer_needs_a_name(self, agent_client, ticket):
        response = agent_client.post(self.url(ticket, "customer_create"), {"name": ""})

        assert response.status_code == 422
        assert not Address.objects.exists()


class TestQueues:
    def test_creating_and_editing_is_audited_with_names(self, mail_administrator, office):
        client = signed_in(mail_administrator)
        data = {"name": "Einkauf", "is_active": "on", "agents": [office.agent.pk, office.stranger.pk]}
        client.post(reverse("tickets:queue_create"), data)
        queue = Queue.objects.get(name="Einkauf")
        client.post(
            reverse("tickets:queue_edit", args=[queue.pk]), {"name": "Einkauf", "agents": [office.agent.pk]}
        )
        queue.refresh_from_db()
        created, changed = AuditEntry.objects.order_by("pk")

        assert (queue.is_active, list(queue.agents.all())) == (False, [office.agent])
        assert created.changes["agents"] == [None, ["jana", "tobias"]]
        assert changed.changes == {"agents": [["jana", "tobias"], ["jana"]], "is_active": [True, False]}

    def test_only_agents_can_be_chosen(self, mail_administrator, make_user, office):
        outsider = make_user(roles.STAFF)
        response = signed_in(mail_administrator).post(
            reverse("tickets:queue_edit", args=[office.service.pk]),
            {"name": "Service", "agents": [outsider.pk]},
        )

        assert response.status_code == 422
        assert outsider not in office.service.agents.all()

    def test_several_agents_are_several_boxes(self, mail_administrator, office):
        html = (
            signed_in(mail_administrator)
            .get(reverse("tickets:queue_edit", args=[office.service.pk]))
            .content.decode()
        )

        assert {a["type"] for a in elements(html, "input") if a.get("name") == "agents"} == {"checkbox"}

    def test_the_list_shows_agents_and_open_tickets(self, mail_administrator, office, ticket):
        Queue.objects.create(name="Leer")
        html = signed_in(mail_administrator).get(reverse("tickets:queue_list")).content.decode()

        assert "ohne Mitarbeiter" in html
        assert reverse("tickets:queue_edit", args=[office.service.pk]) in html

    def test_settings_name_the_queues(self, mail_administrator):
        html = signed_in(mail_administrator).get(reverse("masterdata:settings")).content.decode()

        assert reverse("tickets:queue_list") in html


def test_the_address_page_tells_of_the_tickets_the_user_may_see(office, receive):
    address = Address.objects.create(number="1", name="Stadtwerke", email=CUSTOMER)
    ticket = receive(letter()).ticket

    assert [e.url for e in timeline.entries(address, office.agent)] == [ticket.get_absolute_url()]
    assert not timeline.entries(address, office.stranger)


def test_events_carry_who_did_it(agent_client, office, ticket):
    change(agent_client, ticket, priority=4)

    assert TicketEvent.objects.get(code="priority.changed").actor == office.agent
    assert (
        "Jana Petersen"
        in agent_client.get(ticket.get_absolute_url()).content.decode().split('class="timeline')[1]
    )
