"""A full disk (R36): nothing deleted, no half ticket, nothing in quarantine, and all goes on afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from inbound import pipeline
from inbound.models import IncomingMessage
from tests.inbound.conftest import State, mail
from tests.inbound.poll_process import run_poll
from tickets.models import Ticket, TicketMessage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]

ServerCopy = IncomingMessage.ServerCopy


@pytest.fixture
def deleting(make_station):
    """A station that deletes what it imports, with three mails too big for what is left of the disk."""
    station = make_station()
    station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(seconds=1))
    station.deliver(*[mail(f"Nummer {number}", body=_incompressible(200_000)) for number in range(3)])
    return station


def _incompressible(size: int) -> str:
    return "\r\n".join(secrets.token_hex(35) for _ in range(size // 72))


@contextmanager
def _full_disk(table: str) -> Iterator[None]:
    """No page is left: SQLite is forbidden another one, PostgreSQL reports for ``table`` what it would."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA page_count")
            cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
            yield
            cursor.execute("PRAGMA max_page_count = 1073741823")
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        yield
        cursor.execute("DROP FUNCTION refuse CASCADE")


def _check_untouched(station) -> None:
    assert Ticket.objects.count() == TicketMessage.objects.count() == 0
    assert State.QUARANTINED not in station.states()
    assert station.server.flags(station.user) == {uid: frozenset() for uid in (1, 2, 3)}


def _check_finished(station) -> None:
    report = station.poll()
    assert (report.deleted, Ticket.objects.count(), TicketMessage.objects.count()) == (3, 3, 3)
    assert station.server.flags(station.user) == {}


def test_r36_no_room_for_the_bytes_leaves_them_on_the_server(deleting):
    with _full_disk("archive_rawmail"), pytest.raises(OperationalError):
        deleting.poll_unchecked()
    assert set(deleting.states()) <= {State.SEEN}
    _check_untouched(deleting)
    _check_finished(deleting)


def test_r36_no_room_for_the_tickets_keeps_the_bytes_and_makes_no_half_ticket(deleting, monkeypatch):
    real = pipeline.plan_batch
    full = _full_disk("tickets_ticketmessage")

    def fill_then_plan(mails):
        full.__enter__()
        return real(mails)

    monkeypatch.setattr(pipeline, "plan_batch", fill_then_plan)
    with pytest.raises(OperationalError):
        deleting.poll_unchecked()
    monkeypatch.undo()
    full.__exit__(None, None, None)
    assert deleting.states() == [State.STORED] * 3
    _check_untouched(deleting)
    _check_finished(deleting)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL writes in processes of its own")
def test_r36_no_room_for_the_journal_ends_the_poll_and_nothing_else(deleting):
    """The operating system itself refuses to let a file grow."""
    starved = run_poll(file_size=300_000)
    assert starved.returncode == 1, starved.stderr
    assert "OperationalError" in starved.stderr
    _check_untouched(deleting)
    _check_finished(deleting)
