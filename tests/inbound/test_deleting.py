"""Deleting on the server: only what is safely here, and nothing of anybody else (I2, I3)."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from archive.models import RawMail
from inbound import cleanup
from inbound.models import IncomingMessage
from inbound.visit import Visit
from jobs import instance, leases
from jobs.instance import UnconfirmedCopy
from jobs.models import Instance
from mailaccounts import services
from mailaccounts.models import AccountHealth
from mailkit.imap import ImapSession
from tests.inbound.conftest import State, mail
from tests.server_proxy import Cut
from tests.servers import Dovecot
from tickets.models import Ticket, TicketOptions

ServerCopy = IncomingMessage.ServerCopy


@pytest.fixture
def deleting(station):
    """A station that deletes what it imports from now on."""
    station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(seconds=1))
    return station


def test_imported_mail_is_deleted_after_commit(deleting):
    deleting.deliver(mail("Eins"), mail("Zwei"))
    report = deleting.poll()
    assert (report.imported, report.deleted) == (2, 2)
    assert deleting.server.flags(deleting.user) == {}
    assert set(deleting.rows().values_list("server_copy", flat=True)) == {ServerCopy.DELETED}


def test_off_means_that_the_mailbox_never_changes(station):
    station.deliver(mail("Eins"))
    assert station.poll().deleted == 0
    assert list(station.server.flags(station.user).values()) == [frozenset()]


def test_mail_imported_before_the_switch_stays(station):
    station.deliver(mail("Alt"))
    station.poll()
    station.change(deletes_on_server=True, delete_imported_after=timezone.now())
    station.deliver(mail("Neu"))
    assert station.poll().deleted == 1
    assert list(station.rows().values_list("server_copy", flat=True)) == [ServerCopy.KEPT, ServerCopy.DELETED]


def test_excluded_quarantined_and_duplicate_mail_stays(deleting):
    deleting.change(from_date=timezone.localdate())
    raw = mail("Bleibt nur einmal")
    deleting.deliver(mail("Alt"), at=datetime(2020, 1, 1, tzinfo=UTC))
    deleting.deliver(b"\r\n", raw, raw)
    deleting.poll()
    kept = deleting.rows().filter(server_copy=ServerCopy.KEPT).values_list("state", flat=True)
    assert sorted(kept) == [State.DUPLICATE, State.EXCLUDED, State.QUARANTINED]
    assert len(deleting.server.flags(deleting.user)) == 3


def test_r28_a_bounce_stays(deleting):
    deleting.deliver(mail("Unzustellbar"))
    deleting.change(deletes_on_server=False)
    deleting.poll()
    deleting.rows().update(state=State.BOUNCE)
    deleting.change(deletes_on_server=True)
    assert deleting.poll().deleted == 0
    assert len(deleting.server.flags(deleting.user)) == 1


def test_a_row_whose_bytes_no_longer_verify_keeps_its_server_copy(station):
    station.deliver(mail("Eins"), mail("Zwei"))
    station.poll()
    broken = station.rows()[0]
    RawMail.objects.filter(pk=broken.raw_id).update(content=b"rotten")
    station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(days=1))
    lease = leases.acquire("test", ttl=timedelta(minutes=1))
    assert lease
    rows = cleanup._intact(list(station.rows()))
    assert [row.pk for row in rows] == [station.rows()[1].pk]


def test_r3_cut_between_store_and_expunge_is_finished_next_time(make_station, dovecot, imap_proxy):
    station = make_station(port=imap_proxy.port)
    station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(seconds=1))
    station.deliver(mail("Eins"))
    imap_proxy.cut = Cut(pattern=rb"UID EXPUNGE", from_server=False, includes_match=False)
    report = station.poll_unchecked()
    assert report.error == "connection_lost"
    assert station.rows().get().server_copy == ServerCopy.DELETING  # visibly pending
    imap_proxy.cut = None
    assert station.poll_unchecked().deleted == 1
    assert dovecot.flags(station.user) == {}
    assert Ticket.objects.count() == 1


def test_r3_an_expunge_whose_reply_was_lost_is_noted_as_deleted(make_station, dovecot, imap_proxy):
    station = make_station(port=imap_proxy.port)
    station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(seconds=1))
    station.deliver(mail("Eins"))
    imap_proxy.cut = Cut(pattern=rb"OK Expunge completed", includes_match=False)
    assert station.poll_unchecked().error == "connection_lost"
    imap_proxy.cut = None
    station.poll()
    assert station.rows().get().server_copy == ServerCopy.DELETED


def test_r14_uidvalidity_changed_between_import_and_delete(deleting, monkeypatch):
    """What is known was learned under another number: the same UID may be somebody else's mail by now."""
    deleting.deliver(mail("Eins"))
    candidates, done = cleanup._candidates, []

    def renumbered(options, mailbox):
        if not done:
            done.append(True)
            mailbox.uid_validity -= 1
            deleting.rows().update(uid_validity=mailbox.uid_validity)
        return candidates(options, mailbox)

    monkeypatch.setattr(cleanup, "_candidates", renumbered)
    report = deleting.poll_unchecked()
    assert (report.imported, report.deleted, report.error) == (1, 0, "")
    assert deleting.rows().get().server_copy == ServerCopy.KEPT
    assert len(deleting.server.flags(deleting.user)) == 1


def test_r15_without_uidplus_nothing_of_others_is_expunged(make_station, bare_dovecot):
    station = make_station(server=bare_dovecot)
    station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(seconds=1))
    station.deliver(mail("Kollege löscht"), flags=r"(\Deleted)")
    station.deliver(mail("Unsere"))
    station.change(from_date=timezone.localdate() + timedelta(days=1))
    station.poll()  # both excluded: the foreign \Deleted one is not ours
    station.change(from_date=None)
    station.deliver(mail("Neu"))
    report = station.poll()
    assert (report.imported, report.deleted) == (1, 0)
    assert len(bare_dovecot.flags(station.user)) == 3
    assert AccountHealth.objects.get(account=station.account).warning_code == "no-uidplus-foreign-deleted"


def test_r15_import_works_without_any_extension(make_station, bare_dovecot):
    station = make_station(server=bare_dovecot)
    station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(seconds=1))
    station.deliver(mail("Eins"), mail("Zwei"))
    report = station.poll()
    assert (report.imported, report.deleted) == (2, 2)


def test_r16_foreign_deleted_mail_survives_our_deletion(deleting):
    deleting.change(from_date=timezone.localdate())
    deleting.deliver(mail("Fremd"), flags=r"(\Deleted \Seen)", at=datetime(2020, 1, 1, tzinfo=UTC))
    deleting.deliver(mail("Unsere"))
    assert deleting.poll().deleted == 1
    assert list(deleting.server.flags(deleting.user).values()) == [frozenset({"\\Deleted", "\\Seen"})]


def test_r18_a_read_only_mailbox_is_imported_and_warned_about(make_station, server_certificate):
    with Dovecot(server_certificate, acl=True) as server:
        station = make_station(server=server)
        station.deliver(mail("Eins"))
        server.make_read_only(station.user, "INBOX")
        station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(seconds=1))
        report = station.poll_unchecked()
        assert (report.imported, report.deleted) == (1, 0)
        station.check_balance(1)
        assert AccountHealth.objects.get(account=station.account).warning_code == "read-only"


def test_r39_a_switch_turned_off_meanwhile_stops_the_deletion(deleting, monkeypatch):
    deleting.deliver(mail("Eins"))
    real = cleanup._intact

    def turn_off(rows):
        TicketOptions.objects.filter(account=deleting.account).update(deletes_on_server=False)
        return real(rows)

    monkeypatch.setattr(cleanup, "_intact", turn_off)
    assert deleting.poll().deleted == 0
    assert len(deleting.server.flags(deleting.user)) == 1


def test_r39_saved_settings_revoke_the_poll_before_it_deletes(deleting, monkeypatch):
    deleting.deliver(mail("Eins"))
    real = cleanup._intact

    def save_settings(rows):
        leases.revoke([deleting.account.lease_name])
        return real(rows)

    monkeypatch.setattr(cleanup, "_intact", save_settings)
    deleting.poll(error="settings_changed")
    assert len(deleting.server.flags(deleting.user)) == 1


@pytest.mark.parametrize("change", ["switch off", "hold", "retire"])
def test_r39_settings_saved_during_a_deletion_stop_it_after_the_message_under_way(
    deleting, monkeypatch, mail_administrator, change
):
    deleting.deliver(*[mail(f"Nummer {number}") for number in range(8)])
    real = ImapSession.delete
    asked: list[int] = []

    def delete(session, uids, **options):
        asked.extend(uids)
        if len(asked) == 3:
            _save(deleting, change, mail_administrator)
        real(session, uids, **options)

    monkeypatch.setattr(ImapSession, "delete", delete)
    report = deleting.poll_unchecked()
    assert (report.error, asked) == ("settings_changed", [1, 2, 3])
    left = deleting.server.flags(deleting.user)
    assert left == {uid: frozenset() for uid in range(4, 9)}  # neither gone nor flagged


def _save(station, change, user) -> None:
    if change == "switch off":
        station.change(deletes_on_server=False)
        services.after_settings_change(station.account)
    else:
        {"hold": services.hold, "retire": services.retire_account}[change](account=station.account, by=user)


def test_a_deletion_that_outlasts_its_slice_goes_on_in_the_next(deleting, monkeypatch):
    deleting.deliver(*[mail(f"Nummer {number}") for number in range(5)])
    real = ImapSession.delete

    def delete(session, uids, **options):
        real(session, uids, **options)
        monkeypatch.setattr(Visit, "is_over", lambda visit: True)

    monkeypatch.setattr(ImapSession, "delete", delete)
    assert deleting.poll_unchecked().deleted == 1
    monkeypatch.undo()
    assert deleting.poll().deleted == 4
    assert set(deleting.rows().values_list("server_copy", flat=True)) == {ServerCopy.DELETED}


def test_r10_a_holder_that_overslept_can_not_delete(deleting, monkeypatch):
    deleting.deliver(mail("Eins"))
    real = cleanup._intact

    def oversleep(rows):
        leases.revoke([deleting.account.lease_name])
        assert leases.acquire(deleting.account.lease_name, ttl=timedelta(minutes=1))
        return real(rows)

    monkeypatch.setattr(cleanup, "_intact", oversleep)
    deleting.poll(error="settings_changed")
    assert len(deleting.server.flags(deleting.user)) == 1


def test_an_unconfirmed_copy_polls_and_deletes_nothing(deleting):
    deleting.deliver(mail("Eins"))
    Instance.objects.update(fingerprint="another|installation")
    deleting.poll(error="unconfirmed_copy")
    assert deleting.states() == []
    assert len(deleting.server.flags(deleting.user)) == 1


def test_an_installation_that_became_a_copy_meanwhile_does_not_delete(deleting, monkeypatch):
    deleting.deliver(mail("Eins"))

    def refuse():
        raise UnconfirmedCopy("copy")

    monkeypatch.setattr(instance, "require_original", refuse)
    assert deleting.poll_unchecked().error == "unconfirmed_copy"
    assert len(deleting.server.flags(deleting.user)) == 1
