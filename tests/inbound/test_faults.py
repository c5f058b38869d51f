"""Faults on the way in: rivals, connections cut, folders renumbered, mail that vanishes (R9 to R19)."""

import itertools
import threading
from datetime import timedelta

import pytest
from django.db import connections

from archive.models import RawMail
from inbound import discovery, fetching, pipeline, polling, tasks
from inbound.models import IncomingMessage, Mailbox
from inbound.visit import Visit
from jobs import leases
from mailaccounts.models import AccountHealth
from tests.inbound.conftest import State, mail
from tests.server_proxy import Cut
from tickets.models import Ticket, TicketMessage


def test_r9_a_second_poll_of_the_same_account_comes_back_at_once(station):
    station.deliver(mail("Eins"))
    held = leases.acquire(station.account.lease_name, ttl=timedelta(minutes=1))
    station.poll(error="already_polling")
    assert station.states() == []
    skipped = {"account_id": station.account.pk, "skipped": "already_polling"}  # told, but no error
    assert tasks.poll_account(station.account.pk) == skipped
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


def _known_uid_validity(station):
    return Mailbox.objects.get(account=station.account).uid_validity


def _empty(station):
    with station.server.rival(station.user) as client:
        client.store("1:*", "+FLAGS", r"(\Deleted)")
        client.expunge()


def test_r13_uids_given_anew_after_a_servers_restore_are_new_mail(station):
    """The backup knew fewer UIDs: UIDVALIDITY stays, UIDNEXT falls, and a known UID names other mail."""
    station.deliver(mail("Alt"), mail("Nach der Sicherung"))
    station.poll()
    _empty(station)
    station.server.reset_uid_validity(station.user, uid_validity=_known_uid_validity(station))
    station.deliver(mail("Neu unter alter UID"))
    assert station.poll().imported == 1
    assert Ticket.objects.count() == 3


def test_r13_under_a_uidvalidity_that_was_in_use_before_uids_are_new_mail(station):
    station.deliver(mail("Alt"))
    station.poll()
    before = _known_uid_validity(station)
    _empty(station)
    station.server.reset_uid_validity(station.user)
    station.poll()
    station.server.reset_uid_validity(station.user, uid_validity=before)
    station.deliver(mail("Neu unter alter UID"))
    assert station.poll().imported == 1
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
