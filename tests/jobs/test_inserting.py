"""Many rows in one statement."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from jobs import inserting
from jobs.bulk import update_rows
from jobs.inserting import insert_missing, insert_rows
from jobs.models import Heartbeat
from tickets.models import Queue, Ticket, TicketEvent


@pytest.fixture
def ticket(db) -> Ticket:
    at = "2026-11-24T06:52Z"
    queue = Queue.objects.create(name="Service")
    return Ticket.objects.create(number="20261124-00001", queue=queue, created_at=at, last_message_at=at)


def _events(ticket: Ticket, count: int) -> list[TicketEvent]:
    return [
        TicketEvent(ticket=ticket, at=ticket.created_at, code=f"c{n}", data={"n": [n, "ü"]})
        for n in range(count)
    ]


def test_inserted_rows_know_their_keys_in_order_and_hold_what_was_given(ticket, django_assert_num_queries):
    rows = _events(ticket, 60)
    with django_assert_num_queries(1):
        insert_rows(rows)
    assert [row.pk for row in rows] == sorted(row.pk for row in rows)
    stored = TicketEvent.objects.in_bulk()
    assert [(stored[row.pk].code, stored[row.pk].data) for row in rows] == [
        (row.code, row.data) for row in rows
    ]
    rows[0].code = "changed"
    rows[0].save()
    assert TicketEvent.objects.count() == 60


def test_more_values_than_one_statement_takes_are_split(ticket, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(inserting, "_MOST_VALUES", 12)
    with django_assert_num_queries(3):
        insert_rows(_events(ticket, 6))
    assert TicketEvent.objects.count() == 6


def test_a_conflict_is_an_error_unless_it_is_expected(db):
    Queue.objects.create(name="Service")
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows([Queue(name="Service")])
    insert_rows([Queue(name="Service"), Queue(name="Vertrieb")], ignore_conflicts=True)
    assert set(Queue.objects.values_list("name", flat=True)) == {"Service", "Vertrieb"}


def test_nothing_to_insert_is_no_statement(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        insert_rows([])
    assert not Heartbeat.objects.exists()


def test_rows_that_are_there_already_are_found_instead(db, django_assert_num_queries):
    first, second = Queue(name="Service"), Queue(name="Vertrieb")
    with django_assert_num_queries(1):
        insert_missing([first, second], unique="name")
    again, third = Queue(name="Service"), Queue(name="Einkauf")
    with django_assert_num_queries(2):
        insert_missing([again, third], unique="name")
    assert again.pk == first.pk != third.pk
    assert dict(Queue.objects.values_list("name", "pk")) == {
        row.name: row.pk for row in (first, second, third)
    }


def test_values_that_need_it_are_prepared_as_django_does(ticket):
    at = ticket.created_at
    plain = TicketEvent(ticket=ticket, at=at, code="plain", data={})
    odd = TicketEvent(ticket=ticket, at=at, code=Ticket.State.CLOSED, data=[None])
    insert_rows([plain, odd])
    odd.ticket_id = str(ticket.pk)
    update_rows([plain, odd], ["code", "ticket", "data"])
    assert list(TicketEvent.objects.order_by("pk").values_list("code", "ticket_id", "data")) == [
        ("plain", ticket.pk, {}),
        ("closed", ticket.pk, [None]),
    ]
