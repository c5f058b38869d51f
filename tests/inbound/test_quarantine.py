"""What can not be read waits with its original, its reason and a way to try again; the rest goes on."""

from datetime import UTC, datetime

import pytest
from django.db import OperationalError
from django.utils import timezone

from audit.models import AuditEntry
from inbound import checking, fetching, pipeline, polling, quarantine
from inbound.loops import loop_mark
from inbound.models import IncomingMessage
from inbound.quarantine import QuarantineError
from jobs import leases
from jobs.models import Lease
from mailaccounts.models import AccountHealth
from mailaccounts.services import retire_account
from mailkit import imap
from tests.inbound.conftest import State, mail
from tickets.models import Ticket, TicketMessage


def _multipart(depth: int) -> bytes:
    head = b"From: a@kunde.example\r\nSubject: tief\r\nMIME-Version: 1.0\r\n"
    inside = b"Content-Type: text/plain\r\n\r\nx\r\n"
    for level in range(depth):
        edge = b"b%d" % level
        inside = b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n%s\r\n--%s--\r\n' % (
            edge,
            edge,
            inside,
            edge,
        )
    return head + inside


def _parts(count: int, kind: bytes = b"Content-Type: text/plain\r\n") -> bytes:
    head = (
        b'From: a@kunde.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    )
    return head + (b"--b\r\n" + kind + b"\r\nx\r\n") * count + b"--b--\r\n"


BAD = {
    "b1": (b"\r\n", "empty"),
    "b6": (mail().replace(b"Subject:", b"X-A: 1\r\n" * 100_000 + b"Subject:"), "too-many-headers"),
    "b7": (_multipart(1_000), "too-deep"),
    "b8": (_parts(20_000), "too-many-parts"),
    "b57": (_parts(1_000, b"Content-Disposition: attachment; filename=a.bin\r\n"), "too-many-attachments"),
    "b83-received": (mail(headers=(("Received", "from x by y"),) * 31), "loop"),
    "b83-x-loop": (mail(headers=(("X-Loop", loop_mark()),)), "loop"),
}


@pytest.mark.parametrize("case", BAD)
def test_t14_b1_b6_b7_b8_b57_b83_wait_in_quarantine_with_their_bytes_and_hold_up_nobody(station, case):
    raw, reason = BAD[case]
    station.answer_automatically()
    station.deliver(mail("Davor"), raw, mail("Danach", sender="b@kunde.example"))
    report = station.poll()
    assert (report.imported, report.quarantined) == (2, 1)
    row = station.rows().get(state=State.QUARANTINED)
    assert row.reason == reason
    assert row.raw.content_bytes == raw
    assert len(station.decisions()) == 2
    assert station.poll().new == 0


def test_b17_a_lying_charset_makes_one_ticket_however_often_it_is_polled(station):
    raw = mail(body="").replace(b"charset=utf-8", b"charset=x-unknown-8") + "Grüße".encode("latin-1")
    station.deliver(raw)
    assert station.poll().imported == 1
    station.poll()
    assert Ticket.objects.count() == 1
    assert "Gr" in TicketMessage.objects.get().text


def test_b2_headers_only_are_a_ticket(station):
    station.deliver(b"From: a@kunde.example\r\nSubject: Nur Kopf\r\n\r\n")
    assert station.poll().imported == 1


@pytest.fixture
def failing(station, monkeypatch):
    """A station on which mails with "Gift" in their subject make the import fail."""
    real = pipeline.import_batch

    def import_batch(plan):
        if any("Gift" in planned.mail.parsed.subject for planned in plan.mails):
            raise ValueError("that subject is poison")
        return real(plan)

    monkeypatch.setattr(pipeline, "import_batch", import_batch)
    station.tolerates_failures = True
    station.deliver(mail("Eins"), mail("Gift"), mail("Drei"))
    return station


def test_a_batch_that_fails_is_replayed_and_only_the_culprit_is_quarantined(failing):
    report = failing.poll()
    assert (report.imported, report.quarantined) == (2, 1)
    row = failing.rows().get(state=State.QUARANTINED)
    assert row.reason == "import-failed"
    assert "that subject is poison" in row.detail
    assert [ticket.subject for ticket in failing.tickets()] == ["Eins", "Drei"]


def test_retry_imports_from_the_stored_bytes(failing, monkeypatch, mail_administrator):
    failing.poll()
    row = failing.rows().get(state=State.QUARANTINED)
    with failing.server.rival(failing.user) as client:
        client.uid("STORE", str(row.uid), "+FLAGS", r"(\Deleted)")
        client.expunge()
    monkeypatch.undo()
    quarantine.retry(row=row, by=mail_administrator)
    assert failing.poll().imported == 1
    row.refresh_from_db()
    assert (row.state, row.reason) == (State.IMPORTED, "")
    assert row.quarantined_at  # found under "solved"
    assert AuditEntry.objects.filter(action="quarantine.retried").count() == 1


def test_i1_retry_reaches_a_message_of_a_folder_that_is_polled_no_longer(
    failing, monkeypatch, mail_administrator
):
    failing.poll()
    monkeypatch.undo()
    row = failing.rows().get(state=State.QUARANTINED)
    with failing.server.rival(failing.user) as client:
        client.create("Neu")
    failing.account.imap.__class__.objects.update(folders=["Neu"])
    quarantine.retry(row=row, by=mail_administrator)
    failing.poll_unchecked()
    row.refresh_from_db()
    assert (row.state, row.ticket_message is not None) == (State.IMPORTED, True)


def test_i1_what_waits_in_a_folder_polled_no_longer_is_excluded_and_comes_back_with_it(station, monkeypatch):
    station.deliver(mail("Eins"), mail("Zwei"))
    monkeypatch.setattr(polling, "_fetch_seen", lambda *_args: None)
    station.poll_unchecked()
    monkeypatch.undo()
    assert station.states() == [State.SEEN, State.SEEN]
    with station.server.rival(station.user) as client:
        client.create("Neu")
    folders = station.account.imap.__class__.objects
    folders.update(folders=["Neu"])
    assert station.poll_unchecked().excluded == 2
    assert {(row.state, row.reason) for row in station.rows()} == {(State.EXCLUDED, "folder-off")}
    assert AccountHealth.objects.get().backlog == 0
    folders.update(folders=["INBOX"])
    assert station.poll().imported == 2


def test_r10_a_large_mail_on_a_slow_line_keeps_its_lease(station, monkeypatch):
    station.deliver(mail(body="x" * 3_000_000))
    seconds = []
    real = fetching._contents

    def contents(*arguments):
        expires_at = Lease.objects.get(pk=station.account.lease_name).expires_at
        seconds.append((expires_at - timezone.now()).total_seconds())
        return real(*arguments)

    monkeypatch.setattr(fetching, "_contents", contents)
    assert station.poll().imported == 1
    assert seconds[0] > 3_000_000 / leases.SLOWEST_BYTES_PER_SECOND + 100


def test_r39_settings_saved_just_before_the_lease_is_taken_count(station, monkeypatch, mail_administrator):
    station.deliver(mail())
    real = leases.acquire

    def acquire(name, **kwargs):
        retire_account(account=station.account, by=mail_administrator)
        return real(name, **kwargs)

    monkeypatch.setattr(leases, "acquire", acquire)
    assert station.poll_unchecked().error == "account_retired"
    assert station.states() == []


def test_i1_a_message_of_a_resting_account_stays_in_sight(failing, mail_administrator):
    failing.poll()
    row = failing.rows().get(state=State.QUARANTINED)
    retire_account(account=row.account, by=mail_administrator)
    with pytest.raises(QuarantineError):
        quarantine.retry(row=row, by=mail_administrator)
    row.refresh_from_db()
    assert row.state == State.QUARANTINED


def test_retry_that_fails_comes_back(failing, mail_administrator):
    failing.poll()
    row = failing.rows().get(state=State.QUARANTINED)
    quarantine.retry(row=row, by=mail_administrator)
    failing.poll()
    row.refresh_from_db()
    assert row.state == State.QUARANTINED


def test_a_fault_of_the_moment_is_never_quarantined(station, monkeypatch):
    def locked(_plan):
        raise OperationalError("database is locked")

    monkeypatch.setattr(pipeline, "import_batch", locked)
    station.deliver(mail("Eins"), mail("Zwei"))
    with pytest.raises(OperationalError):
        station.poll_unchecked()
    assert station.states() == [State.STORED, State.STORED]
    monkeypatch.undo()
    assert station.poll().imported == 2


@pytest.fixture
def oversize(station, settings):
    """A station with one mail beyond the limit."""
    settings.MAIL_MAX_MESSAGE_BYTES = 2_000
    station.deliver(mail("Groß", body="x" * 78 + "\r\n" + "y\r\n" * 2_000), mail("Klein"))
    assert station.poll().imported == 1
    return station


def test_r21_a_mail_beyond_the_limit_is_left_on_the_server(oversize):
    row = oversize.rows().get(state=State.QUARANTINED)
    assert (row.reason, row.raw) == ("left-on-server", None)


def test_reading_it_in_spite_of_its_size(oversize, mail_administrator):
    row = oversize.rows().get(state=State.QUARANTINED)
    with pytest.raises(QuarantineError, match=r".") as refused:
        quarantine.retry(row=row, by=mail_administrator)
    assert refused.value.code == "still_too_large"
    quarantine.read_anyway(row=row, by=mail_administrator)
    assert oversize.poll().imported == 1
    row.refresh_from_db()
    assert row.state == State.IMPORTED


def test_a_raised_limit_lets_it_in(oversize, settings, mail_administrator):
    settings.MAIL_MAX_MESSAGE_BYTES = 50_000
    quarantine.retry(row=oversize.rows().get(state=State.QUARANTINED), by=mail_administrator)
    assert oversize.poll().imported == 1


def test_an_oversize_mail_that_others_removed_can_not_be_read(oversize, mail_administrator):
    row = oversize.rows().get(state=State.QUARANTINED)
    with oversize.server.rival(oversize.user) as client:
        client.uid("STORE", str(row.uid), "+FLAGS", r"(\Deleted)")
        client.expunge()
    oversize.poll()
    row.refresh_from_db()
    with pytest.raises(QuarantineError):
        quarantine.read_anyway(row=row, by=mail_administrator)


def test_discarding_keeps_row_and_original(station, mail_administrator):
    station.deliver(b"\r\n")
    station.poll()
    row = station.rows().get()
    quarantine.discard(row=row, by=mail_administrator, reason="Leere Probe")
    assert not IncomingMessage.objects.in_quarantine().exists()
    row.refresh_from_db()
    assert row.raw.content_bytes == b"\r\n"
    assert AuditEntry.objects.get(action="quarantine.discarded").reason == "Leere Probe"
    assert station.poll().new == 0


def test_reading_an_original_is_recorded(station, mail_administrator):
    station.deliver(b"\r\n")
    station.poll()
    quarantine.read_original(row=station.rows().get(), by=mail_administrator, reason="Kundin rief an")
    entry = AuditEntry.objects.get(action="quarantine.original_read")
    assert (entry.actor, entry.reason) == (mail_administrator, "Kundin rief an")


def test_test_mails_come_to_no_ticket(station, mail_administrator):
    station.account.tests.create(kind="smtp", started_by=mail_administrator, message_id="probe@firma.example")
    station.deliver(mail("Testmail", message_id="<probe@firma.example>"))
    assert station.poll().excluded == 1
    assert station.rows().get().reason == "test-mail"


def test_our_own_copy_in_a_polled_sent_folder_comes_to_no_ticket(make_station):
    station = make_station("info@firma.example", sends=True, folders=["INBOX", "Sent"])
    station.answer_automatically()
    station.deliver(mail("Frage"))
    station.poll()
    outgoing = station.account.outgoing.get()
    station.deliver(outgoing.raw.content_bytes, folder="Sent", flags=r"(\Seen)")
    assert station.poll().excluded == 1
    assert station.rows().order_by("id").last().reason == "own-copy"


def test_a_genuine_mail_taken_for_a_loop_can_be_read_and_is_not_answered(station, mail_administrator):
    station.answer_automatically()
    station.deliver(mail("Über viele Server", headers=(("Received", "from x by y"),) * 31))
    station.poll()
    quarantine.read_anyway(row=station.rows().get(), by=mail_administrator)
    assert station.poll().imported == 1
    assert station.decisions() == ["loop"]


@pytest.mark.parametrize(
    "told", [b"RFC822.SIZE 4294967295", b'INTERNALDATE "31-Dec-9999 23:30:00 +0000"'], ids=["size", "date"]
)
def test_b90_impossible_metadata_stops_no_poll(station, monkeypatch, told):
    name = told.split()[0]
    value = 2**32 - 1 if name == b"RFC822.SIZE" else datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
    real = imap.read_fetch

    def read_fetch(parts, asked):
        return {
            uid: found | ({name: value} if name in found else {}) for uid, found in real(parts, asked).items()
        }

    monkeypatch.setattr(imap, "read_fetch", read_fetch)
    station.deliver(mail())
    report = station.poll_unchecked()
    assert (report.new, report.error) == (1, "")


def test_r3_a_deletion_begun_and_no_longer_wanted_wakes_no_polls(station):
    station.deliver(mail())
    station.poll()
    station.rows().update(server_copy=IncomingMessage.ServerCopy.DELETING)
    assert checking._accounts_with_work([station.account]) == set()
    station.change(deletes_on_server=True)
    assert checking._accounts_with_work([station.account]) == {station.account.pk}
