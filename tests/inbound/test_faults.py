"""Faults on the way in: connections cut, folders renumbered, processes killed, databases gone (R1 to R19)."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection, connections

from archive.models import RawMail
from inbound import discovery, fetching, pipeline, polling
from inbound.faults import is_transient
from inbound.models import IncomingMessage, Mailbox
from inbound.visit import Visit
from jobs import leases
from mailaccounts.models import AccountHealth
from tests.inbound.conftest import State, mail
from tests.server_proxy import Cut
from tickets.models import Ticket, TicketMessage

ROOT = Path(__file__).resolve().parents[2]


def _run_poll(failpoint: str = "", **further: str) -> subprocess.CompletedProcess:
    environment = (
        os.environ
        | further
        | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "FAILPOINT": failpoint,
            "POLL_DATABASE": str(connection.settings_dict["NAME"]),
        }
    )
    return subprocess.run(
        [sys.executable, "-m", "tests.inbound.poll_process"],
        cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False, text=True,
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failpoint", ["before_commit", "after_commit"])
def test_r1_r2_kill_9_around_the_commit_imports_once(make_station, failpoint):
    """R1: before the commit the next poll imports once. R2: after it nothing is imported again."""
    station = make_station()
    station.deliver(mail("Eins"), mail("Zwei"))
    killed = _run_poll(failpoint)
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
    assert _run_poll(failpoint).returncode == -signal.SIGKILL
    leases.revoke([station.account.lease_name])
    station.poll()
    assert Ticket.objects.count() == 2
    assert station.server.flags(station.user) == {}
    assert set(station.rows().values_list("server_copy", flat=True)) == {"deleted"}


@pytest.mark.django_db(transaction=True)
def test_poll_once_runs_as_a_process(make_station):
    station = make_station()
    station.deliver(mail("Eins"))
    done = _run_poll()
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
    starved = _run_poll(POLL_MEMORY=str(memory * 1024 * 1024))
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


def test_r9_a_second_poll_of_the_same_account_comes_back_at_once(station):
    station.deliver(mail("Eins"))
    held = leases.acquire(station.account.lease_name, ttl=timedelta(minutes=1))
    station.poll(error="already_polling")
    assert station.states() == []
    leases.release(held)
    assert station.poll().imported == 1


@pytest.mark.django_db(transaction=True)
def test_r9_eight_workers_import_each_mail_once(make_station):
    station = make_station()
    station.deliver(*[mail(f"Nummer {number}") for number in range(20)])
    errors: list[str] = []

    def work():
        try:
            errors.append(polling.poll(station.account.pk).error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors.count("") >= 1
    assert set(errors) <= {"", "already_polling"}
    station.poll()
    assert Ticket.objects.count() == IncomingMessage.objects.count() == 20


def test_r10_a_holder_that_overslept_is_refused_at_commit(station, monkeypatch):
    station.deliver(mail("Eins"))
    real = pipeline.judge

    def oversleep(visit, mails):
        leases.revoke([station.account.lease_name])
        return real(visit, mails)

    monkeypatch.setattr(pipeline, "judge", oversleep)
    station.poll(error="settings_changed")
    assert Ticket.objects.count() == 0
    assert station.states() == [State.STORED]
    monkeypatch.undo()
    station.poll()
    assert Ticket.objects.count() == 1


@pytest.mark.parametrize("position", [1, 40, 200, 400, 600, 800, 1000, 1200])
def test_r11_a_cut_in_the_middle_of_a_literal_leaves_no_partial_ticket(make_station, imap_proxy, position):
    station = make_station(port=imap_proxy.port)
    raw = mail("Lang", body="Zeile\r\n" * 300)
    station.deliver(raw)
    imap_proxy.cut = Cut(pattern=rb"BODY\[\] \{\d+\}\r\n.{%d}" % position)
    report = station.poll_unchecked()
    assert report.error
    assert TicketMessage.objects.count() == RawMail.objects.count() == 0
    imap_proxy.cut = None
    assert station.poll().imported == 1
    assert RawMail.objects.get().content_bytes == raw


def test_r13_uidvalidity_change_loses_and_doubles_nothing(station):
    station.deliver(*[mail(f"Nummer {number}") for number in range(5)])
    station.poll()
    station.server.reset_uid_validity(station.user)
    station.deliver(mail("Danach"))
    report = station.poll()
    assert (report.new, report.duplicate, report.imported) == (6, 5, 1)
    assert Ticket.objects.count() == 6
    old, new = station.rows()[:5], station.rows()[5:10]
    assert [row.duplicate_of_id for row in new] == [row.pk for row in old]
    assert {row.server_copy for row in old} == {"gone"}


def test_r13_reused_uids_are_new_mail(station):
    station.deliver(mail("Alt"))
    station.poll()
    with station.server.rival(station.user) as client:
        client.store("1:*", "+FLAGS", r"(\Deleted)")
        client.expunge()
    station.server.reset_uid_validity(station.user)
    station.deliver(mail("Neu unter alter UID"))
    report = station.poll()
    assert (report.imported, report.duplicate) == (1, 0)
    assert Ticket.objects.count() == 2


def test_r13_mail_found_but_never_fetched_is_found_again(station, monkeypatch):
    station.deliver(mail("Eins"), mail("Zwei"))
    monkeypatch.setattr(polling, "_fetch_seen", lambda *_args: None)
    station.poll()
    assert station.states() == [State.SEEN, State.SEEN]
    monkeypatch.undo()
    station.server.reset_uid_validity(station.user)
    report = station.poll()
    assert (report.new, report.imported) == (2, 2)
    assert station.states() == [State.VANISHED, State.VANISHED, State.IMPORTED, State.IMPORTED]


def test_r16_mail_a_colleague_has_read_is_imported_all_the_same(station):
    station.deliver(mail("Gelesen"), flags=r"(\Seen \Flagged)")
    assert station.poll().imported == 1
    assert list(station.server.flags(station.user).values()) == [frozenset({"\\Seen", "\\Flagged"})]


def test_r16_mail_others_move_away_is_noted(station):
    station.deliver(mail("Eins"), mail("Zwei"), mail("Drei"))
    station.poll()
    with station.server.rival(station.user) as client:
        client.uid("STORE", "2", "+FLAGS", r"(\Deleted)")
        client.expunge()
    assert station.poll().new == 0
    assert list(station.rows().values_list("server_copy", flat=True)) == ["kept", "gone", "kept"]


def test_r16_deleted_and_arrived_at_once_is_not_mistaken_for_nothing(station):
    station.deliver(mail("Eins"), mail("Zwei"))
    station.poll()
    with station.server.rival(station.user) as client:
        client.uid("STORE", "1", "+FLAGS", r"(\Deleted)")
        client.expunge()
    station.deliver(mail("Drei"))
    assert station.poll().imported == 1
    assert list(station.rows().values_list("server_copy", flat=True)) == ["gone", "kept", "kept"]


def test_r17_mail_that_vanishes_between_search_and_fetch(station, monkeypatch):
    station.deliver(mail("Eins"), mail("Verschwindet"), mail("Drei"))
    real = fetching.next_batch
    vanished = []

    def next_batch(visit, mailbox):
        if not vanished:
            vanished.append(True)
            with station.server.rival(station.user) as client:
                client.uid("STORE", "2", "+FLAGS", r"(\Deleted)")
                client.expunge()
        return real(visit, mailbox)

    monkeypatch.setattr(fetching, "next_batch", next_batch)
    report = station.poll_unchecked()
    assert (report.imported, report.error) == (2, "")
    assert sorted(Ticket.objects.values_list("subject", flat=True)) == ["Drei", "Eins"]
    station.poll()
    assert station.rows().get(uid=2).state == State.VANISHED


def test_r19_a_big_mailbox_comes_in_bounded_slices(station, monkeypatch):
    monkeypatch.setattr(discovery, "CHUNK", 7)
    station.deliver(*[mail(f"Nummer {number}") for number in range(30)])
    slices = 0
    while True:
        report = station.poll(slice_seconds=0.0 if slices < 3 else 0.05)
        slices += 1
        balance = Mailbox.objects.get(account=station.account)
        assert balance.server_messages == 30 or report.has_more
        if not report.has_more:
            break
        assert slices < 200
    assert Ticket.objects.count() == 30
    assert slices > 3


def test_r19_a_slice_leaves_the_rest_to_the_next_and_says_so(station, monkeypatch):
    monkeypatch.setattr(discovery, "CHUNK", 5)
    station.deliver(*[mail(f"Nummer {number}") for number in range(12)])
    calls = itertools.count()
    monkeypatch.setattr(Visit, "is_over", lambda visit: visit.has_more or _use_up(visit, next(calls)))
    report = polling.poll(station.account.pk, slice_seconds=25)
    assert report.has_more
    assert 0 < report.new < 12
    health = AccountHealth.objects.get(account=station.account)
    assert health.backlog == 12 - report.imported
    monkeypatch.undo()
    station.poll()
    assert Ticket.objects.count() == 12


def _use_up(visit, calls):
    visit.has_more = calls >= 6
    return visit.has_more


def test_a_message_the_server_refuses_holds_up_nobody(station, monkeypatch):
    """Tried once a poll, alone; after five attempts it waits in quarantine with what the server said."""
    station.deliver(mail("Kaputt auf dem Server"), mail("Heil"))
    station.poll()
    bad = station.rows()[0]
    IncomingMessage.objects.filter(pk=bad.pk).update(state=State.SEEN, raw=None, ticket_message=None)
    path = next(
        iter(
            [
                *station.server.maildir(station.user).glob("cur/*"),
                *station.server.maildir(station.user).glob("new/*"),
            ]
        )
    )
    assert path.exists()
    real = fetching._contents

    def contents(session, rows):
        if any(row.pk == bad.pk for row in rows):
            raise fetching.MailboxUnavailable("internal error", code="unavailable")
        return real(session, rows)

    monkeypatch.setattr(fetching, "_contents", contents)
    for _ in range(5):
        station.deliver(mail("Weitere"))
        station.poll_unchecked()
    bad.refresh_from_db()
    assert (bad.state, bad.reason) == (State.QUARANTINED, "refused-by-server")
    assert station.rows().filter(state=State.IMPORTED).count() == 6


def test_r12_a_silent_server_is_given_up_on(make_station, settings):
    settings.MAIL_TIMEOUT_SECONDS = 1
    with _Silent() as port:
        station = make_station(port=port)
        report = station.poll_unchecked()
    assert report.error in {"connection_timeout", "connection_lost"}
    assert report.seconds < 60
    assert AccountHealth.objects.get(account=station.account).failures == 1


class _Silent:
    """Accepts and never says a word."""

    def __enter__(self) -> int:
        import socket

        self._socket = socket.create_server(("127.0.0.1", 0))
        return self._socket.getsockname()[1]

    def __exit__(self, *exc) -> None:
        self._socket.close()
