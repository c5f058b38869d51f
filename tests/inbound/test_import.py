"""Mailbox → tickets: every message once, nothing on the server touched."""

import re
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from archive.models import RawMail
from archive.services import store_raw
from inbound import tasks
from inbound.models import IncomingMessage, Mailbox
from inbound.selectors import ledger_totals
from mailaccounts.models import AccountHealth
from tests.inbound.conftest import State, mail
from tickets.models import Ticket, TicketMessage


def test_every_mail_becomes_one_ticket(station):
    station.deliver(mail("Eins"), mail("Zwei"), mail("Drei"))
    report = station.poll()
    assert (report.new, report.imported) == (3, 3)
    assert [ticket.subject for ticket in station.tickets()] == ["Eins", "Zwei", "Drei"]
    message = TicketMessage.objects.get(subject="Eins")
    assert message.text.startswith("Guten Tag")
    assert message.raw.content_bytes == station.rows()[0].raw.content_bytes
    assert ledger_totals()["imported"] == 3
    health = AccountHealth.objects.get(account=station.account)
    assert health.last_success_at
    assert health.next_poll_at > health.last_success_at


def test_a_second_poll_finds_nothing_new(station):
    station.deliver(mail("Eins"))
    station.poll()
    report = station.poll()
    assert (report.new, report.imported) == (0, 0)
    assert Ticket.objects.count() == 1


def test_r9_the_database_itself_refuses_a_second_row_of_a_message(station):
    station.deliver(mail("Eins"), mail("Zwei"))
    station.poll()
    first, second = station.rows()
    with pytest.raises(IntegrityError), transaction.atomic():
        IncomingMessage.objects.filter(pk=second.pk).update(uid=first.uid)


def test_the_database_itself_keeps_each_content_once(db):
    with transaction.atomic():
        stored = store_raw([b"Eins", b"Zwei", b"Eins"])
    assert len(stored) == RawMail.objects.count() == 2
    first, second = stored.values()
    with pytest.raises(IntegrityError), transaction.atomic():
        RawMail.objects.filter(pk=second.pk).update(sha256=first.sha256)


def test_a_mail_that_came_later_is_found(station):
    station.deliver(mail("Eins"))
    station.poll()
    station.deliver(mail("Zwei"))
    assert station.poll().imported == 1
    assert station.states() == [State.IMPORTED, State.IMPORTED]


def test_several_folders(make_station):
    station = make_station(folders=["INBOX", "Archive"])
    with station.server.rival(station.user) as client:
        client.create("Archive")
    station.deliver(mail("Eins"))
    station.deliver(mail("Zwei"), folder="Archive")
    assert station.poll().imported == 2
    assert Mailbox.objects.filter(account=station.account).count() == 2


def test_a_missing_folder_is_told_and_the_others_are_polled(make_station):
    station = make_station(folders=["Fehlt", "INBOX"])
    station.deliver(mail("Eins"))
    report = station.poll(error="no-such-folder")
    assert report.imported == 1
    assert AccountHealth.objects.get(account=station.account).error_code == "no-such-folder"


def test_b28_internal_date_stands_in_for_a_missing_date(station):
    arrived = datetime(2026, 11, 3, 8, 15, tzinfo=UTC)
    raw = mail("Ohne Datum").replace(b"Date: Tue, 24 Nov 2026 09:00:00 +0100\r\n", b"")
    station.deliver(raw, mail("Von 1970").replace(b"24 Nov 2026", b"01 Jan 1970"), at=arrived)
    station.poll()
    assert set(TicketMessage.objects.values_list("at", flat=True)) == {arrived}


def test_the_same_bytes_twice_are_one_ticket_and_a_recorded_duplicate(station):
    raw = mail("Doppelt")
    station.deliver(raw, raw)
    report = station.poll()
    assert (report.imported, report.duplicate) == (1, 1)
    first, second = station.rows()
    assert second.duplicate_of == first
    assert Ticket.objects.count() == 1


def test_b70_the_same_message_id_with_other_content_is_kept(station):
    station.deliver(
        mail("Eins", message_id="<x@kunde.example>"), mail("Zwei", message_id="<x@kunde.example>")
    )
    assert station.poll().imported == 2


def test_reply_within_a_batch_joins_the_ticket(station):
    first = mail("Frage", message_id="<f1@kunde.example>")
    reply = mail("Re: Frage", headers=(("In-Reply-To", "<f1@kunde.example>"),))
    station.deliver(first, reply)
    station.poll()
    assert Ticket.objects.count() == 1
    assert TicketMessage.objects.count() == 2


def test_ticket_system_off_is_a_named_exclusion(station):
    station.change(is_enabled=False)
    station.deliver(mail("Eins"))
    assert station.poll().excluded == 1
    row = station.rows().get()
    assert (row.state, row.reason, row.raw) == (State.EXCLUDED, "ticket-system-off", None)
    assert IncomingMessage.objects.count() == 1


def test_an_account_without_imap_settings_is_told(station):
    station.account.imap.delete()
    assert station.poll_unchecked().error == "imap_missing"


def test_a_task_for_an_account_deleted_meanwhile_ends_quietly(db, original):
    tasks.poll_account(999_999)


@pytest.mark.parametrize("account_id", [None, "own", 999_999])
def test_poll_once_prints_a_line_an_account_and_fails_with_any(station, make_station, capsys, account_id):
    station.deliver(mail("Eins"))
    other = make_station(port=1)
    arguments = (
        []
        if account_id is None
        else ["--account", str(station.account.pk if account_id == "own" else account_id)]
    )
    if account_id == "own":
        call_command("poll_once", *arguments)
    elif account_id is None:
        with pytest.raises(SystemExit) as ended:
            call_command("poll_once", *arguments)
        assert ended.value.code == 1
    else:
        with pytest.raises(CommandError):
            call_command("poll_once", *arguments)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == {None: 2, "own": 1, 999_999: 0}[account_id]
    if lines:
        numbers = "new 1, imported 1, duplicate 0, excluded 0, bounce 0, quarantined 0, deleted 0"
        assert re.fullmatch(rf"Info: {numbers}, \d+\.\d s", lines[0])
    if account_id is None:
        assert lines[1].startswith(f"{other.account}: ")
        assert lines[1].endswith("[connection_refused]")
