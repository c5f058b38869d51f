"""The ticket list: filters, search, order and paging in the URL; live updates; CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from masterdata.models import Address
from tests.tickets_pages.conftest import CUSTOMER, letter, signed_in
from tests.tickets_pages.mails import with_attachment
from tickets import filters
from tickets.models import Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_ticket(office):
    """Rows as an import leaves them, without a mail each; ``age`` in minutes."""
    count = 0

    def make(subject: str = "Anfrage", *, age: int = 0, **fields) -> Ticket:
        nonlocal count
        count += 1
        at = timezone.now() - timedelta(minutes=age)
        values = {"queue": office.service, "account": office.account, "state": Ticket.State.OPEN} | fields
        return Ticket.objects.create(
            number=f"20261124-{count:05d}", subject=subject, created_at=at, last_message_at=at, **values
        )

    return make


def shown(client, query: str = "") -> list[str]:
    """Subjects of the rows, in order."""
    response = client.get(f"/tickets/{query}")
    assert response.status_code == 200
    return [row.subject for row in response.context_data["rows"]]


def test_open_tickets_are_shown_by_default_newest_first(agent_client, make_ticket):
    make_ticket("alt", age=5)
    make_ticket("neu", age=1, state=Ticket.State.NEW)
    make_ticket("zu", state=Ticket.State.CLOSED)
    make_ticket("Reklame", state=Ticket.State.SPAM)

    assert shown(agent_client) == ["neu", "alt"]
    assert shown(agent_client, "?sort=time") == ["alt", "neu"]
    assert shown(agent_client, "?state=closed") == ["zu"]
    assert set(shown(agent_client, "?state=all")) == {"alt", "neu", "zu", "Reklame"}


def test_priority_sorts_before_time(agent_client, make_ticket):
    make_ticket("normal", age=1)
    make_ticket("dringend", age=9, priority=Ticket.Priority.URGENT)

    assert shown(agent_client, "?sort=-priority") == ["dringend", "normal"]


def test_filters_combine(agent_client, office, make_ticket):
    office.sales.agents.add(office.agent)
    customer = Address.objects.create(number="1", name="Stadtwerke")
    wanted = {"queue": office.sales, "assignee": office.agent, "priority": 3, "customer": customer}
    make_ticket("gesucht", **wanted)
    make_ticket("andere Warteschlange", **wanted | {"queue": office.service})
    make_ticket("niemandes", **wanted | {"assignee": None})
    make_ticket("unwichtig", **wanted | {"priority": 1})
    make_ticket("anderer Kunde", **wanted | {"customer": None})
    query = f"?queue={office.sales.pk}&assignee=me&priority=3&customer={customer.pk}"

    assert shown(agent_client, query) == ["gesucht"]
    assert shown(agent_client, "?assignee=nobody") == ["niemandes"]
    assert "Stadtwerke" in agent_client.get(f"/tickets/{query}").content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "?state=nonsense",
        "?queue=x",
        "?queue=99999999999999999999",
        "?assignee=drop",
        "?sort=secret",
        "?cursor=forged",
        "?q=%00",
    ],
)
def test_unknown_values_in_the_url_fall_back(agent_client, make_ticket, query):
    make_ticket("da")

    assert shown(agent_client, query) == ["da"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20261124-00001", {"Förderband steht"}),
        ("[#20261124-00001]", {"Förderband steht"}),
        ("20261124", {"Förderband steht", "Angebot"}),
        ("förder steht", {"Förderband steht"}),
        ("ÜBERMUT", {"Förderband steht"}),
        (CUSTOMER.upper(), {"Förderband steht"}),
        ("stadtwerke", {"Förderband steht"}),
        ("gibtesnicht", set()),
        ("förder gibtesnicht", set()),
        ("%", set()),
    ],
)
def test_search_finds_number_words_customer_and_sender(agent_client, make_ticket, text, found):
    customer = Address.objects.create(number="1", name="Stadtwerke Lüneburg")
    ticket = make_ticket(
        "Förderband steht",
        customer=customer,
        requester_name="Carl Übermut",
        requester_address=CUSTOMER,
        state="closed",
    )
    ticket.participants.create(address=CUSTOMER)
    make_ticket("Angebot")

    response = agent_client.get("/tickets/", {"q": text})

    assert {row.subject for row in response.context_data["rows"]} == found


def test_words_are_searched_in_a_bounded_window_and_the_page_says_so(agent_client, make_ticket, monkeypatch):
    monkeypatch.setattr(filters, "SEARCH_WINDOW", 2)
    make_ticket("Band uralt", age=30)
    for age in (3, 2, 1):
        make_ticket("Band", age=age)

    response = agent_client.get("/tickets/?q=band")

    assert "Band uralt" not in {row.subject for row in response.context_data["rows"]}
    assert response.context_data["searched_since"] is not None
    assert "Nummer" in response.content.decode()


def test_pages_follow_one_another_without_gaps(agent_client, make_ticket, monkeypatch):
    monkeypatch.setattr("tickets.views.listing.TicketListPage.page_size", 3)
    for age in range(8):
        make_ticket(f"t{age}", age=age)
    seen: list[str] = []
    cursor = ""
    while True:
        response = agent_client.get("/tickets/", {"cursor": cursor} if cursor else {})
        seen += [row.subject for row in response.context_data["rows"]]
        cursor = response.context_data["page"].next_cursor
        if not cursor:
            break

    assert seen == [f"t{age}" for age in range(8)]


def test_counts_stand_beside_views_queues_and_states(agent_client, office, make_ticket):
    make_ticket(assignee=office.agent)
    make_ticket(state=Ticket.State.NEW)
    make_ticket(state=Ticket.State.CLOSED)
    context = agent_client.get("/tickets/").context_data

    assert [(link.label, link.count) for link in context["views"]] == [
        ("Alle offenen", 2), ("Meine offenen", 1), ("Nicht zugewiesen", 1),
    ]  # fmt: skip
    assert [(link.label, link.count) for link in context["queues"]] == [("Service", 2)]
    assert [(str(link.label), link.count) for link in context["segments"]][:3] == [
        ("Alle offenen", 2), ("Neu", 1), ("Offen", 1),
    ]  # fmt: skip


def test_navigation_counts_open_tickets(agent_client, make_ticket):
    make_ticket()
    make_ticket(state=Ticket.State.CLOSED)

    assert (
        '<span class="count num">1<span class="sr-note"> offen</span></span>'
        in agent_client.get("/tickets/").content.decode()
    )


def test_the_number_of_queries_does_not_grow_with_rows(agent_client, office, make_ticket):
    customer = Address.objects.create(number="1", name="Stadtwerke")
    agent_client.get("/tickets/")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert agent_client.get("/tickets/").status_code == 200
        return len(captured)

    make_ticket(customer=customer, assignee=office.agent)
    few = queries()
    for _ in range(30):
        make_ticket(customer=customer, assignee=office.agent)
    assert queries() == few
    assert few <= 16


def test_polling_gets_news_once_and_then_nothing(agent_client, make_ticket):
    make_ticket("erstes")
    first = agent_client.get("/tickets/", headers={"HX-Request": "true"})
    again = agent_client.get(
        "/tickets/", headers={"HX-Request": "true", "If-None-Match": first.headers["ETag"]}
    )
    make_ticket("zweites")
    news = agent_client.get(
        "/tickets/", headers={"HX-Request": "true", "If-None-Match": first.headers["ETag"]}
    )

    assert "<html" not in first.content.decode()
    assert again.status_code == 304
    assert news.status_code == 200
    assert "zweites" in news.content.decode()
    assert 'id="queue-links"' in news.content.decode()


def test_b59_csv_neutralises_formulas_and_keeps_to_the_filter(agent_client, make_ticket):
    make_ticket("=cmd|'/c calc'!A0", requester_name="@SUM(1)")
    make_ticket("fort", state=Ticket.State.CLOSED)

    response = agent_client.get("/tickets/?format=csv")
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))

    assert [row["Betreff"] for row in rows] == ["'=cmd|'/c calc'!A0"]
    assert rows[0]["Anfragender"] == "'@SUM(1)"


def test_empty_lists_say_what_comes_next(agent_client):
    assert "Nichts offen" in agent_client.get("/tickets/").content.decode()
    assert "/tickets/" in agent_client.get("/tickets/?q=nichts").content.decode()


def test_b29_b49_strange_subjects_and_names_are_shown_marked_and_escaped(agent_client, receive):
    receive(
        letter(
            subject='"><img src=x onerror=alert(1)> \u202egpj.exe',
            sender='"\\"><script>x</script>" <a@b.example>',
        )
    )
    page = agent_client.get("/tickets/").content.decode()

    assert "&gt;&lt;img src=x onerror=alert(1)&gt; ⟨U+202E⟩gpj.exe" in page
    assert "<script>x" not in page
    assert "<img src=x" not in page


def test_attachments_are_announced(agent_client, receive):
    receive(with_attachment())

    assert 'aria-label="mit Anhang"' in agent_client.get("/tickets/").content.decode()


def test_a_ticket_opens_at_its_newest_message(agent_client, ticket):
    assert f'href="{ticket.get_absolute_url()}#newest"' in agent_client.get("/tickets/").content.decode()


def test_a_superuser_sees_every_queue(make_user, ticket):
    assert ticket.subject in signed_in(make_user(superuser=True)).get("/tickets/").content.decode()
