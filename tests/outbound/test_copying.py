"""The Sent copy against a real Dovecot: one copy, byte for byte, and never a reason to send again (R18)."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import instance
from jobs.models import Instance
from mailaccounts import credentials
from mailaccounts.models import AccountHealth
from mailaccounts.services import after_settings_change
from mailkit.addresses import Address
from mailkit.errors import AuthenticationFailed
from outbound import copying, services, tasks
from outbound.copying import copy_due, due_account_ids
from outbound.delivery import deliver
from outbound.errors import NotPossible
from outbound.models import OutgoingMessage
from tests.outbound.conftest import draft
from tests.servers import Cut, CuttingProxy, Dovecot, SmtpScript

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("original"),
    pytest.mark.servers,
]

State, CopyState = OutgoingMessage.State, OutgoingMessage.CopyState


@pytest.fixture
def connect(make_account, smtp_sink):
    """Make an account on the sink and on a mailbox of a Dovecot."""

    def make(server, user, *, sent_folder="Sent", port=None):
        account = make_account(port=smtp_sink.port, imap_port=port or server.port, sent_folder=sent_folder)
        imap = account.imap
        imap.username = user.username
        imap.password_encrypted = credentials.encrypt(
            user.password, purpose=credentials.IMAP_PASSWORD, row_uuid=imap.uuid
        )
        imap.save()
        return account

    return make


@pytest.fixture
def account(connect, dovecot, mailbox):
    return connect(dovecot, mailbox)


def send(account, **fields) -> OutgoingMessage:
    row = services.queue_message(draft=draft(**fields), by=None)
    deliver(account.pk)
    row.refresh_from_db()
    return row


def in_folder(server, user, folder="Sent") -> list[bytes]:
    with server.rival(user, folder) as client:
        _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
    return [part[1] for part in data if isinstance(part, tuple)]


def make_due() -> None:
    rows = OutgoingMessage.objects.filter(copy_state=CopyState.PENDING, copy_next_attempt_at__isnull=False)
    rows.update(copy_next_attempt_at=timezone.now() - timedelta(seconds=5))


def test_wire_sent_copy_and_archive_are_the_same_bytes(account, dovecot, mailbox, smtp_sink):
    row = send(account, text="Grüße aus Lüneburg\n.\n..zwei Punkte\nFrom hier an\n", html="<p>Grüße</p>")
    assert copy_due(account.pk).copied == 1
    row.refresh_from_db()
    assert row.copy_state == CopyState.DONE
    wire, [copy] = smtp_sink.transactions[0].content, in_folder(dovecot, mailbox)
    digests = {hashlib.sha256(content).digest() for content in (wire, copy, row.raw.content_bytes)}
    assert digests == {bytes(row.raw.sha256)}
    assert dovecot.flags(mailbox, "Sent") == {1: frozenset({"\\Seen"})}


def test_a_copy_that_is_there_already_is_not_made_again(account, dovecot, mailbox):
    row = send(account)
    dovecot.deliver(mailbox, row.raw.content_bytes, folder="Sent")
    assert copy_due(account.pk).copied == 1
    assert len(in_folder(dovecot, mailbox)) == 1


def test_a_lost_reply_to_append_leaves_one_copy(connect, dovecot, mailbox):
    with CuttingProxy(dovecot.port) as proxy:
        account = connect(dovecot, mailbox, port=proxy.port)
        row = send(account)
        proxy.cut = Cut(pattern=rb"APPENDUID", includes_match=False, times=1)
        assert copy_due(account.pk).error
        row.refresh_from_db()
        assert (row.state, row.copy_state) == (State.SENT, CopyState.PENDING)
        make_due()
        assert copy_due(account.pk).copied == 1
    assert len(in_folder(dovecot, mailbox)) == 1


def test_many_copies_share_one_session(account, dovecot, mailbox):
    for _ in range(25):
        services.queue_message(draft=draft(), by=None)
    deliver(account.pk)
    before = dovecot.log().count("imap-login: Login")
    assert copy_due(account.pk).copied == 25
    assert len(in_folder(dovecot, mailbox)) == 25
    assert dovecot.log().count("imap-login: Login") <= before + 2  # one of them is the test's own


def test_nothing_is_copied_before_it_is_sent(account, dovecot, mailbox, smtp_sink):
    smtp_sink.script = SmtpScript(mail="450 4.2.0 Later", times=1)
    row = send(account)
    assert row.state == State.QUEUED
    assert due_account_ids() == []
    smtp_sink.script = SmtpScript(mail="550 5.7.1 No", times=1)
    OutgoingMessage.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=5))
    deliver(account.pk)
    row.refresh_from_db()
    assert (row.state, row.copy_state) == (State.FAILED, CopyState.NONE)


def test_r27_who_accepted_it_is_reason_enough_for_a_copy(account, dovecot, mailbox, smtp_sink):
    smtp_sink.script = SmtpScript(recipients={"b@kunde.example": "550 5.1.1 User unknown"})
    row = send(account, to=[Address("", "a@kunde.example"), Address("", "b@kunde.example")])
    assert row.state == State.FAILED
    assert copy_due(account.pk).copied == 1


def test_r18_a_missing_folder_never_repeats_the_mail(connect, dovecot, mailbox, smtp_sink):
    account = connect(dovecot, mailbox, sent_folder="Gesendete Objekte")
    row = send(account)
    report = copy_due(account.pk)
    row.refresh_from_db()
    assert (report.error, row.state, row.copy_state) == ("no-such-folder", State.SENT, CopyState.PENDING)
    assert row.copy_error.startswith("no-such-folder")
    assert row.copy_next_attempt_at > timezone.now() + timedelta(seconds=30)
    deliver(account.pk)
    assert len(smtp_sink.transactions) == 1
    account.imap.__class__.objects.update(sent_folder="Sent")
    make_due()
    assert copy_due(account.pk).copied == 1


def test_r18_a_full_mailbox_never_repeats_the_mail(connect, server_certificate, smtp_sink):
    with Dovecot(server_certificate, quota="*:storage=1K") as server:
        user = server.new_user()
        account = connect(server, user)
        row = send(account, text="x" * 4000)
        copy_due(account.pk)
    row.refresh_from_db()
    assert (row.state, row.copy_state, row.copy_attempts) == (State.SENT, CopyState.PENDING, 1)
    assert row.copy_error.startswith("over-quota")
    assert len(smtp_sink.transactions) == 1


def test_r18_one_copy_that_does_not_fit_does_not_hold_up_the_others(connect, server_certificate):
    with Dovecot(server_certificate, quota="*:storage=20K") as server:
        user = server.new_user()
        account = connect(server, user)
        for text in ("x" * 40_000, "kurz"):
            services.queue_message(draft=draft(text=text), by=None)
        deliver(account.pk)
        report = copy_due(account.pk)
        assert (report.copied, report.failed) == (1, 1)
        assert len(in_folder(server, user)) == 1


def test_r18_a_copy_fails_visibly_after_five_days_and_can_be_asked_for_again(
    connect, dovecot, mailbox, agent, smtp_sink
):
    account = connect(dovecot, mailbox, sent_folder="Fehlt")
    row = send(account)
    OutgoingMessage.objects.update(finished_at=timezone.now() - timedelta(days=5, minutes=1))
    copy_due(account.pk)
    row.refresh_from_db()
    assert (row.state, row.copy_state) == (State.SENT, CopyState.FAILED)
    assert row.copy_error.startswith("no-such-folder")
    account.imap.__class__.objects.update(sent_folder="Sent")
    services.copy_again(message=row, by=agent)
    assert copy_due(account.pk).copied == 1
    assert len(smtp_sink.transactions) == 1


def test_switching_the_copies_off_ends_them(account, dovecot, mailbox):
    row = send(account)
    account.imap.__class__.objects.update(copies_sent=False)
    copy_due(account.pk)
    row.refresh_from_db()
    assert (row.copy_state, row.copy_error) == (CopyState.NONE, "")


def test_r32_a_wrong_password_counts_with_the_polls_and_pauses(account, dovecot, mailbox):
    row = send(account)
    imap = account.imap
    imap.password_encrypted = credentials.encrypt(
        "falsch", purpose=credentials.IMAP_PASSWORD, row_uuid=imap.uuid
    )
    imap.save()
    for _ in range(3):
        make_due()
        assert due_account_ids() == [account.pk]
        copy_due(account.pk)
    make_due()
    assert AccountHealth.objects.get(account=account).is_paused
    assert due_account_ids() == []
    row.refresh_from_db()
    assert (row.state, row.copy_state) == (State.SENT, CopyState.PENDING)


def test_r39_settings_saved_during_a_copy_stop_it_and_outlive_its_refused_login(account, monkeypatch):
    send(account)

    def save_then_refuse(_account):
        after_settings_change(account)
        raise AuthenticationFailed("wrong password")

    monkeypatch.setattr(copying, "open_imap", save_then_refuse)
    assert copy_due(account.pk).error == "lease_lost"
    assert AccountHealth.objects.get(account=account).login_failures == 0


def test_a_copy_of_the_database_touches_no_mailbox(account):
    send(account)
    Instance.objects.update(fingerprint="elsewhere")
    with pytest.raises(instance.UnconfirmedCopy):
        copy_due(account.pk)
    tasks.append_due()
    assert OutgoingMessage.objects.get().copy_state == CopyState.PENDING


def test_mail_that_was_never_sent_has_no_copy_to_ask_for(account, agent):
    row = services.queue_message(draft=draft(), by=None)
    with pytest.raises(NotPossible):
        services.copy_again(message=row, by=agent)


def test_r42_a_worker_that_is_to_stop_ends_after_the_copy_in_hand(account, dovecot, mailbox, monkeypatch):
    for _ in range(3):
        send(account)
    told = iter([False, False, True])  # before the batch, before its first copy, then
    monkeypatch.setattr(copying.draining, "has_begun", lambda: next(told, True))
    report = copy_due(account.pk)
    assert (report.copied, report.has_more, report.error) == (1, True, "")
    monkeypatch.undo()
    assert copy_due(account.pk).copied == 2
