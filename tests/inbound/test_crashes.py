"""Processes killed, databases gone and memory short in the middle of an import (R1 to R3, R5, R8)."""

import signal

import pytest
from django.db import OperationalError, connection, connections

from inbound import pipeline
from inbound.faults import is_transient
from jobs import leases
from tests.inbound.conftest import State, mail
from tests.inbound.poll_process import run_poll
from tickets.models import Ticket, TicketMessage


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failpoint", ["before_commit", "after_commit"])
def test_r1_r2_kill_9_around_the_commit_imports_once(make_station, failpoint):
    """R1: before the commit the next poll imports once. R2: after it nothing is imported again."""
    station = make_station()
    station.deliver(mail("Eins"), mail("Zwei"))
    killed = run_poll(failpoint)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = Ticket.objects.count()
    assert before == (0 if failpoint == "before_commit" else 2)
    leases.revoke([station.account.lease_name])  # as its expiry would
    station.poll()
    assert Ticket.objects.count() == TicketMessage.objects.count() == 2
    assert station.states() == [State.IMPORTED, State.IMPORTED]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failpoint", ["after_commit", "before_delete", "after_delete"])
def test_r2_r3_kill_9_before_the_deletion_is_finished_later(make_station, failpoint):
    station = make_station()
    station.change(deletes_on_server=True, delete_imported_after="2020-01-01T00:00:00Z")
    station.deliver(mail("Eins"), mail("Zwei"))
    assert run_poll(failpoint).returncode == -signal.SIGKILL
    leases.revoke([station.account.lease_name])
    station.poll()
    assert Ticket.objects.count() == 2
    assert station.server.flags(station.user) == {}
    assert set(station.rows().values_list("server_copy", flat=True)) == {"deleted"}


@pytest.mark.django_db(transaction=True)
def test_poll_once_runs_as_a_process(make_station):
    station = make_station()
    station.deliver(mail("Eins"))
    done = run_poll()
    assert done.returncode == 0, done.stderr
    line = "new 1, imported 1, duplicate 0, excluded 0, bounce 0, quarantined 0, deleted 0, "
    assert done.stdout.startswith(f"Info: {line}")


@pytest.mark.django_db(transaction=True)
def test_r5_a_database_connection_lost_in_the_transaction_loses_and_doubles_nothing(
    make_station, monkeypatch
):
    """The import transaction breaks off; nothing is quarantined, and the next poll imports once."""
    station = make_station()
    station.deliver(mail("Eins"), mail("Zwei"))
    real = pipeline.import_batch

    def import_then_break(plan):
        messages = real(plan)
        _break_connection()
        return messages

    monkeypatch.setattr(pipeline, "import_batch", import_then_break)
    with pytest.raises(OperationalError):
        station.poll_unchecked()
    connections.close_all()
    monkeypatch.setattr(pipeline, "import_batch", real)
    assert Ticket.objects.count() == 0
    assert station.states() == [State.STORED, State.STORED]
    leases.revoke([station.account.lease_name])
    station.poll()
    assert Ticket.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_r5_a_commit_whose_reply_is_lost_is_found_done(make_station, monkeypatch):
    station = make_station()
    station.deliver(mail("Eins"), mail("Zwei"))

    def lose_the_reply(name):
        if name == "after_commit":
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(pipeline.failpoints, "reached", lose_the_reply)
    with pytest.raises(OperationalError):
        station.poll_unchecked()
    monkeypatch.undo()
    leases.revoke([station.account.lease_name])
    station.poll()
    assert Ticket.objects.count() == 2
    assert station.states() == [State.IMPORTED, State.IMPORTED]


def _break_connection() -> None:
    """What a stopped server looks like from here: on PostgreSQL for real, on SQLite as it reports it."""
    if connection.vendor != "postgresql":
        raise OperationalError("disk I/O error")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    killer = connections.create_connection("default")
    with killer.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    killer.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_r5_faults_of_the_moment_are_told_from_faults_of_the_data():
    class Reported(Exception):
        def __init__(self, sqlstate):
            self.sqlstate = sqlstate

    def error(sqlstate):
        raised = OperationalError("x")
        raised.__cause__ = Reported(sqlstate)
        return raised

    assert all(is_transient(error(state)) for state in ("08006", "40001", "40P01", "53100", "57P01"))
    assert not any(is_transient(error(state)) for state in ("22021", "23505", "22001"))
    assert is_transient(OperationalError("database is locked"))
    assert not is_transient(ValueError("x"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("memory", [48, 80])
def test_r8_a_mail_for_which_memory_runs_out_waits_for_the_next_poll(make_station, memory):
    """48 MB do not suffice to fetch and store it, 80 MB (on SQLite) not to read it."""
    station = make_station()
    station.deliver(
        mail("Klein"), mail("Groß", body="Eine Zeile von sechzig Zeichen, viele Male.\r\n" * 550_000)
    )
    starved = run_poll(memory=memory * 1024 * 1024)
    assert "MemoryError" in starved.stderr or memory > 48
    assert State.QUARANTINED not in station.states()
    leases.revoke([station.account.lease_name])  # given back already, unless memory ran out there, too
    station.poll()
    assert sorted(Ticket.objects.values_list("subject", flat=True)) == ["Groß", "Klein"]


def test_r8_want_of_memory_is_no_fault_of_the_mail(station, monkeypatch):
    def no_memory(_verdicts):
        raise MemoryError

    station.deliver(mail("Eins"), mail("Zwei"))
    monkeypatch.setattr(pipeline, "plan_batch", no_memory)
    with pytest.raises(MemoryError):
        station.poll_unchecked()
    assert station.states() == [State.STORED, State.STORED]
