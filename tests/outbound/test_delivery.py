"""Delivery against a real SMTP server: what is on the wire, and what the row says."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import instance, leases
from jobs.models import Instance, Lease
from mailaccounts.services import retire_account
from mailkit.addresses import Address
from mailkit.delivery import DeliveryResult
from mailkit.errors import ConnectionLost
from outbound import claims, delivery, outcomes, services, tasks, throttling
from outbound.delivery import deliver, due_account_ids
from outbound.models import DeliveryAttempt, DeliveryThrottle, OutgoingMessage
from tests.outbound.conftest import draft
from tests.servers import Cut, CuttingProxy, SmtpScript, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("original")]

State = OutgoingMessage.State
THREE = [Address("", f"{name}@kunde.example") for name in ("a", "b", "c")]


@pytest.fixture
def account(make_account, smtp_sink):
    smtp_sink.connections = 0  # one was made to see it up
    return make_account(port=smtp_sink.port)


def queue(**fields) -> OutgoingMessage:
    return services.queue_message(draft=draft(**fields), by=None)


def make_due() -> None:
    """Let the waiting time of every row and account pass."""
    past = timezone.now() - timedelta(seconds=5)
    OutgoingMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=past)
    DeliveryThrottle.objects.update(retry_at=past)


def recipients(row: OutgoingMessage) -> dict[str, str]:
    return dict(row.recipients.values_list("address", "state"))


def test_a_queued_mail_is_sent_as_its_frozen_bytes(account, smtp_sink):
    row = queue(bcc=[Address("", "chefin@firma.example")])
    report = deliver(account.pk)
    row.refresh_from_db()
    assert (report.sent, row.state, row.attempts) == (1, State.SENT, 1)
    assert row.finished_at is not None
    assert row.last_reply_code == 250
    sent = smtp_sink.transactions[0]
    assert sent.content == row.raw.content_bytes
    assert sent.envelope_sender == "service@firma.example"
    assert sent.recipients == ("c.meinhold@kunde.example", "chefin@firma.example")  # T22: Bcc in the envelope
    assert set(recipients(row).values()) == {"accepted"}
    attempt = row.delivery_attempts.get()
    assert (attempt.outcome, attempt.reply_code, attempt.transcript) == ("sent", 250, "")


def test_many_mails_of_an_account_share_one_session(account, smtp_sink):
    for number in range(45):
        queue(subject=f"Mail {number}")
    assert deliver(account.pk).sent == 45
    assert smtp_sink.connections == 1
    subjects = [t.content.split(b"Subject: ")[1].split(b"\r\n")[0] for t in smtp_sink.transactions]
    assert subjects == [b"Mail %d" % number for number in range(45)]


def test_r39_an_account_deleted_since_its_task_was_sent_is_nobodys_error(db, original):
    assert tasks.deliver(999_999) == tasks.append_to_sent(999_999) == {}


def test_a_scheduled_mail_waits(account, smtp_sink):
    row = services.queue_message(draft=draft(), by=None, not_before=timezone.now() + timedelta(hours=1))
    assert deliver(account.pk).sent == 0
    make_due()
    assert deliver(account.pk).sent == 1
    row.refresh_from_db()
    assert row.state == State.SENT


def test_r9_one_session_an_account_at_a_time(account, smtp_sink):
    queue()
    held = leases.acquire(account.sending_lease_name, ttl=timedelta(minutes=1))
    assert deliver(account.pk).error == "busy"
    leases.release(held)
    assert deliver(account.pk).sent == 1


def test_a_copy_of_the_database_sends_nothing(account, smtp_sink):
    queue()
    Instance.objects.update(fingerprint="erp-mail|postgresql|db.firma.example:5432/erp")
    with pytest.raises(instance.UnconfirmedCopy):
        deliver(account.pk)
    assert smtp_sink.connections == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda a: a.__class__.objects.filter(pk=a.pk).update(retired_at=timezone.now()), "account_retired"),
        (lambda a: a.smtp.__class__.objects.filter(account=a).update(is_enabled=False), "smtp_off"),
    ],
)
def test_mail_of_an_account_that_may_not_send_waits_with_the_reason(account, smtp_sink, change, code):
    row = queue()
    change(account)
    assert due_account_ids() == []
    assert deliver(account.pk).error == code
    row.refresh_from_db()
    assert (row.state, row.attempts, smtp_sink.connections) == (State.QUEUED, 0, 0)
    account.__class__.objects.update(retired_at=None)
    account.smtp.__class__.objects.update(is_enabled=True)
    assert due_account_ids() == [account.pk]  # nothing to be nudged: it goes on by itself


# -- refusals


@pytest.mark.parametrize("stage", ["mail", "data", "dot"])
def test_r26_a_4xx_is_tried_again_later_and_one_copy_arrives(account, smtp_sink, stage):
    smtp_sink.script = SmtpScript(**{stage: "451 4.7.1 Greylisted, try later"}, times=1)
    row = queue()
    report = deliver(account.pk)
    row.refresh_from_db()
    assert (report.deferred, row.state, row.last_reply_code) == (1, State.QUEUED, 451)
    assert timedelta(seconds=40) < row.next_attempt_at - timezone.now() < timedelta(seconds=80)
    assert deliver(account.pk).sent == 0  # not before its time
    make_due()
    assert deliver(account.pk).sent == 1
    assert len(smtp_sink.transactions) == 1
    assert list(row.delivery_attempts.order_by("pk").values_list("outcome", "reply_code")) == [
        ("delivery_transient", 451),
        ("sent", 250),
    ]


def test_r26_one_greylisted_mail_does_not_hold_up_the_others(account, smtp_sink):
    smtp_sink.script = SmtpScript(dot="452 4.3.1 Insufficient system storage", times=1)
    for _ in range(3):
        queue()
    report = deliver(account.pk)
    assert (report.deferred, report.sent, smtp_sink.connections) == (1, 2, 1)


def test_r26_a_421_holds_off_the_whole_account(account, smtp_sink):
    smtp_sink.script = SmtpScript(mail="421 4.7.0 Too many messages, slow down", times=1)
    first, second = queue(), queue()
    report = deliver(account.pk)
    assert (report.deferred, report.sent, report.error) == (1, 0, "delivery_transient")
    second.refresh_from_db()
    assert (second.state, second.attempts) == (State.QUEUED, 0)
    connections = smtp_sink.connections
    assert deliver(account.pk).error == "delivery_transient"
    assert due_account_ids() == []
    assert smtp_sink.connections == connections
    make_due()
    assert deliver(account.pk).sent == 2
    assert not DeliveryThrottle.objects.exists()
    first.refresh_from_db()
    assert (first.state, len(smtp_sink.transactions)) == (State.SENT, 2)


def test_a_421_after_mails_went_through_only_needs_a_new_session(account, smtp_sink):
    queue(subject="first")
    claimed = []

    def close_after_the_first(*args, **kwargs):
        claimed.append(1)
        if len(claimed) == 1:
            smtp_sink.script = SmtpScript(mail="421 4.4.5 That many a session", times=1)

    queue(subject="second")
    original = smtp_sink.handle_DATA

    async def handle_data(server, session, envelope):
        reply = await original(server, session, envelope)
        close_after_the_first()
        return reply

    smtp_sink.handle_DATA = handle_data
    report = deliver(account.pk)
    assert (report.sent, report.deferred, report.error) == (2, 0, "")
    assert smtp_sink.connections == 2
    assert list(OutgoingMessage.objects.values_list("attempts", flat=True)) == [1, 1]


def test_r26_the_wait_grows_and_ends_after_five_days(account, smtp_sink):
    smtp_sink.script = SmtpScript(mail="450 4.2.0 Mailbox busy")
    row = queue()
    waits = []
    for _ in range(10):
        make_due()
        deliver(account.pk)
        row.refresh_from_db()
        waits.append((row.next_attempt_at - timezone.now()).total_seconds() / 60)
    assert [0.7 < wait / 2**step < 1.3 for step, wait in enumerate(waits[:8])] == [True] * 8
    assert waits[9] < 60 * 5
    OutgoingMessage.objects.update(give_up_at=timezone.now())
    make_due()
    deliver(account.pk)
    row.refresh_from_db()
    assert (row.state, row.last_error, row.last_reply_code) == (State.FAILED, "gave_up", 450)
    assert set(recipients(row).values()) == {"refused"}
    assert smtp_sink.transactions == []


@pytest.mark.parametrize("stage", ["mail", "data", "dot"])
def test_r27_a_5xx_fails_the_mail_visibly(account, smtp_sink, stage):
    smtp_sink.script = SmtpScript(**{stage: "554 5.7.1 Rejected by policy"})
    row = queue()
    assert deliver(account.pk).failed == 1
    row.refresh_from_db()
    assert (row.state, row.last_reply_code) == (State.FAILED, 554)
    assert "Rejected by policy" in row.last_reply
    assert set(recipients(row).values()) == {"refused"}
    make_due()
    assert deliver(account.pk).sent == 0


def test_r27_a_refused_recipient_keeps_its_own_words(account, smtp_sink):
    smtp_sink.script = SmtpScript(recipients={"c.meinhold@kunde.example": "550 5.1.1 User unknown"})
    row = queue()
    deliver(account.pk)
    row.refresh_from_db()
    assert (row.state, row.last_reply_code) == (State.FAILED, 550)
    assert "5.1.1 User unknown" in row.recipients.get().reply


def test_r27_one_of_three_refused_the_others_get_it_once(account, smtp_sink):
    smtp_sink.script = SmtpScript(recipients={"b@kunde.example": "550 5.1.1 User unknown"})
    row = queue(to=THREE)
    assert deliver(account.pk).failed == 1
    row.refresh_from_db()
    assert (row.state, row.last_error) == (State.FAILED, "recipients_refused")
    assert recipients(row) == {
        "a@kunde.example": "accepted", "b@kunde.example": "refused", "c@kunde.example": "accepted"
    }  # fmt: skip
    make_due()
    deliver(account.pk)
    assert [t.recipients for t in smtp_sink.transactions] == [("a@kunde.example", "c@kunde.example")]


def test_r27_one_of_three_greylisted_is_asked_again_alone(account, smtp_sink):
    smtp_sink.script = SmtpScript(recipients={"b@kunde.example": "450 4.7.1 Greylisted"})
    row = queue(to=THREE)
    deliver(account.pk)
    row.refresh_from_db()
    assert (row.state, row.last_error) == (State.QUEUED, "recipients_deferred")
    smtp_sink.script = SmtpScript()
    make_due()
    deliver(account.pk)
    row.refresh_from_db()
    assert row.state == State.SENT
    assert [t.recipients for t in smtp_sink.transactions] == [
        ("a@kunde.example", "c@kunde.example"),
        ("b@kunde.example",),
    ]


# -- broken connections


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
def test_r23_a_drop_before_the_dot_is_retried_and_one_copy_arrives(account, smtp_sink, stage):
    smtp_sink.script = SmtpScript(drop_at=stage, times=1)
    row = queue()
    report = deliver(account.pk)
    row.refresh_from_db()
    assert (report.deferred, row.state) == (1, State.QUEUED)
    make_due()
    smtp_sink.script = SmtpScript()
    assert deliver(account.pk).sent == 1
    assert len(smtp_sink.transactions) == 1


def test_r23_a_drop_in_the_middle_of_the_body_is_retried_and_one_copy_arrives(make_account, smtp_sink):
    with CuttingProxy(smtp_sink.port) as proxy:
        account = make_account(port=proxy.port)
        proxy.cut = Cut(pattern=b"Motorschutz", from_server=False, times=1)
        queue()
        assert deliver(account.pk).sent == 0
        make_due()
        deliver(account.pk)
    assert OutgoingMessage.objects.get().state in {State.SENT, State.UNCERTAIN}
    assert len(smtp_sink.transactions) <= 1


@pytest.mark.parametrize("arrived", [True, False])
def test_r24_a_drop_after_the_dot_is_uncertain_and_never_repeated(account, smtp_sink, arrived):
    smtp_sink.script = SmtpScript(drop_at="DOT", keeps_dropped=arrived, times=1)
    row = queue()
    report = deliver(account.pk)
    row.refresh_from_db()
    assert (report.uncertain, row.state, row.attempts) == (1, State.UNCERTAIN, 1)
    assert row.delivery_attempts.get().outcome == "delivery_uncertain"
    smtp_sink.script = SmtpScript()
    make_due()
    deliver(account.pk)
    assert len(smtp_sink.transactions) == int(arrived)


def test_r24_a_server_that_breaks_off_after_the_dot_does_not_make_the_queue_uncertain(account, smtp_sink):
    smtp_sink.script = SmtpScript(drop_at="DOT")
    for _ in range(5):
        queue()
    deliver(account.pk)
    deliver(account.pk)
    states = list(OutgoingMessage.objects.order_by("pk").values_list("state", flat=True))
    assert states == [State.UNCERTAIN, *[State.QUEUED] * 4]


def test_a_server_that_is_away_holds_off_the_account_and_loses_nothing(make_account):
    account = make_account(port=free_port())
    rows = [queue(), queue()]
    report = deliver(account.pk)
    assert (report.error, report.deferred) == ("connection_refused", 1)
    for row in rows:
        row.refresh_from_db()
    assert [(row.state, row.attempts) for row in rows] == [(State.QUEUED, 1), (State.QUEUED, 0)]
    assert DeliveryThrottle.objects.get().error_code == "connection_refused"


def test_what_waited_beyond_its_time_for_a_dead_server_fails(make_account):
    account = make_account(port=free_port())
    rows = [queue(), queue()]
    OutgoingMessage.objects.update(give_up_at=timezone.now())
    deliver(account.pk)
    for row in rows:
        row.refresh_from_db()
    assert [(row.state, row.last_error) for row in rows] == [(State.FAILED, "gave_up")] * 2


@pytest.mark.parametrize("trouble", ["smtp_off", "retired", "paused"])
def test_i4_what_waited_beyond_its_time_fails_though_nobody_tries_the_account(
    make_account, mail_administrator, trouble
):
    account = make_account(port=free_port(), smtp=True)
    row, young = queue(), queue()
    if trouble == "smtp_off":
        account.smtp.__class__.objects.update(is_enabled=False)
    elif trouble == "retired":
        retire_account(account=account, by=mail_administrator)
    else:
        throttling.hold_off(account, ConnectionLost("gone"))
        DeliveryThrottle.objects.update(is_paused=True)
    OutgoingMessage.objects.filter(pk=row.pk).update(give_up_at=timezone.now())
    assert due_account_ids() == []
    row.refresh_from_db()
    young.refresh_from_db()
    assert (row.state, row.last_error, young.state) == (State.FAILED, "gave_up", State.QUEUED)
    assert set(recipients(row).values()) == {"refused"}


def test_i4_an_automatic_answer_never_leaves_after_its_time(account, smtp_sink):
    answer = queue(purpose=OutgoingMessage.Purpose.AUTO_REPLY)
    OutgoingMessage.objects.update(give_up_at=timezone.now())
    assert deliver(account.pk).sent == 0
    assert smtp_sink.transactions == []
    due_account_ids()
    answer.refresh_from_db()
    assert (answer.state, answer.last_error) == (State.FAILED, "gave_up")


def test_r10_a_large_mail_on_a_slow_line_keeps_its_lease(account, monkeypatch):
    row = queue()
    row.raw.__class__.objects.filter(pk=row.raw_id).update(size=20_000_000)
    seconds = []

    class Transport:
        is_open = True

        def send(self, _sender, wanted, _raw, *, before_dot):
            expires_at = Lease.objects.get(pk=account.sending_lease_name).expires_at
            seconds.append((expires_at - timezone.now()).total_seconds())
            before_dot()
            return DeliveryResult(250, "ok", list(wanted))

    monkeypatch.setattr(delivery, "open_smtp", lambda *_args, **_kwargs: nullcontext(Transport()))
    assert deliver(account.pk).sent == 1
    assert seconds[0] > 20_000_000 / leases.SLOWEST_BYTES_PER_SECOND


def test_r39_settings_saved_just_before_the_lease_is_taken_count(
    account, smtp_sink, mail_administrator, monkeypatch
):
    queue()
    real = leases.acquire

    def acquire(name, **kwargs):
        retire_account(account=account, by=mail_administrator)
        return real(name, **kwargs)

    monkeypatch.setattr(leases, "acquire", acquire)
    assert deliver(account.pk).error == "account_retired"
    assert smtp_sink.transactions == []


# -- credentials


def test_r32_a_wrong_password_is_tried_three_times_then_rests_until_the_settings_change(
    make_account, smtp_sink_tls, authority, settings
):
    settings.MAIL_CA_FILE = authority.ca_file
    account = make_account(
        host="localhost", port=smtp_sink_tls.port, security="starttls", authentication="password",
        has_own_login=True, username="user",
    )  # fmt: skip
    set_password(account, "falsch")
    queue()
    for _ in range(6):
        make_due()
        deliver(account.pk)
    assert len(smtp_sink_tls.login_attempts) == 3
    assert DeliveryThrottle.objects.get().is_paused
    assert due_account_ids() == []
    set_password(account, "Geheim-4711")
    make_due()
    assert due_account_ids() == [account.pk]
    assert deliver(account.pk).sent == 1
    assert not DeliveryThrottle.objects.exists()


def set_password(account, password: str) -> None:
    from mailaccounts import credentials

    smtp = account.smtp
    smtp.password_encrypted = credentials.encrypt(
        password, purpose=credentials.SMTP_PASSWORD, row_uuid=smtp.uuid
    )
    smtp.save()


def test_w16_t9_the_dialogue_is_recorded_only_while_debugging_and_without_secrets(
    make_account, smtp_sink_tls, authority, settings
):
    settings.MAIL_CA_FILE = authority.ca_file
    account = make_account(
        host="localhost", port=smtp_sink_tls.port, security="starttls", authentication="password",
        has_own_login=True, username="user", debug_until=timezone.now() + timedelta(minutes=5),
    )  # fmt: skip
    set_password(account, "Geheim-4711")
    queue(), queue()
    assert deliver(account.pk).sent == 2
    first, second = (attempt.transcript for attempt in DeliveryAttempt.objects.order_by("pk"))
    assert "EHLO" in first
    assert "RCPT TO:<c.meinhold@kunde.example>" in second
    assert "EHLO" not in second
    for secret in ("Geheim-4711", "R2VoZWltLTQ3MTE", "AHVzZXIAR2VoZWlt", "Motorschutz"):
        assert secret not in first + second
    account.smtp.__class__.objects.update(debug_until=timezone.now() - timedelta(seconds=1))
    queue()
    assert deliver(account.pk).sent == 1
    assert DeliveryAttempt.objects.latest("pk").transcript == ""


# -- null sender


def test_a_refused_null_sender_is_replaced_by_the_account_once(account, smtp_sink):
    smtp_sink.script = SmtpScript(mail="550 5.7.1 Null sender not allowed", times=1)
    row = queue(envelope_sender="", purpose=OutgoingMessage.Purpose.AUTO_REPLY)
    assert deliver(account.pk).sent == 1
    row.refresh_from_db()
    assert smtp_sink.transactions[0].envelope_sender == "service@firma.example"
    assert row.envelope_sender == "service@firma.example"


def test_a_null_sender_stays_null_where_the_server_takes_it(account, smtp_sink):
    queue(envelope_sender="")
    deliver(account.pk)
    assert smtp_sink.transactions[0].envelope_sender.strip("<>") == ""


def test_a_null_sender_whose_recipient_is_refused_is_not_tried_twice(account, smtp_sink):
    smtp_sink.script = SmtpScript(recipients={"c.meinhold@kunde.example": "550 5.1.1 User unknown"})
    row = queue(envelope_sender="")
    assert deliver(account.pk).failed == 1
    row.refresh_from_db()
    assert row.envelope_sender == ""


# -- fencing


def test_r10_a_worker_that_overslept_sends_no_dot(account, smtp_sink, monkeypatch):
    row = queue()
    mark = claims.mark_dot_sent

    def oversleep(claim):
        leases.revoke([account.sending_lease_name])
        mark(claim)

    monkeypatch.setattr(claims, "mark_dot_sent", oversleep)
    report = deliver(account.pk)
    row.refresh_from_db()
    assert (report.error, row.state, smtp_sink.transactions) == ("lease_lost", State.QUEUED, [])


def test_r10_a_worker_that_overslept_claims_nothing(account):
    row = queue()
    overslept = leases.acquire(account.sending_lease_name, ttl=timedelta(minutes=1))
    leases.revoke([account.sending_lease_name])
    with pytest.raises(leases.LeaseLost):
        claims.claim_batch(account.pk, overslept)
    row.refresh_from_db()
    assert (row.state, row.claim_token) == (State.QUEUED, None)


def test_a_mail_whose_claim_was_taken_away_is_not_sent(account, smtp_sink, monkeypatch):
    row, other = queue(), queue()
    mark = claims.mark_dot_sent

    def cancelled_meanwhile(claim):
        OutgoingMessage.objects.filter(pk=row.pk).update(state=State.CANCELLED, claim_token=None)
        mark(claim)

    monkeypatch.setattr(claims, "mark_dot_sent", cancelled_meanwhile)
    report = deliver(account.pk)
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.state, other.state, report.sent) == (State.CANCELLED, State.SENT, 1)
    assert len(smtp_sink.transactions) == 1


def test_a_mail_cancelled_while_it_is_claimed_is_not_sent(account, smtp_sink, monkeypatch):
    row, other = queue(), queue()
    choose = claims._batch_ids

    def cancelled_meanwhile(account_id):
        ids = choose(account_id)
        OutgoingMessage.objects.filter(pk=row.pk, state=State.QUEUED).update(state=State.CANCELLED)
        return ids

    monkeypatch.setattr(claims, "_batch_ids", cancelled_meanwhile)
    report = deliver(account.pk)
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.state, other.state, report.sent) == (State.CANCELLED, State.SENT, 1)
    assert len(smtp_sink.transactions) == 1
    assert smtp_sink.connections == 1  # one that began the cancelled mail would have been cut off


def test_what_becomes_of_a_mail_is_recorded_by_who_claimed_it_last(account):
    row = queue()
    lease = leases.acquire(account.sending_lease_name, ttl=timedelta(minutes=1))
    [overslept] = claims.claim_batch(account.pk, lease)
    OutgoingMessage.objects.filter(pk=row.pk).update(claim_token=uuid4())
    outcomes.record_failure(overslept, ConnectionLost("end of stream"))
    row.refresh_from_db()
    assert (row.state, row.last_error) == (State.SENDING, "")


def test_the_slice_ends_and_gives_back_what_it_did_not_try(account, smtp_sink):
    for _ in range(3):
        queue()
    report = deliver(account.pk, slice_seconds=0)
    assert (report.sent, report.has_more) == (0, True)
    assert set(OutgoingMessage.objects.values_list("state", flat=True)) == {State.QUEUED}


def test_changed_settings_end_the_holding_off(make_account, smtp_sink):
    account = make_account(port=free_port())
    queue()
    deliver(account.pk)
    assert due_account_ids() == []
    account.smtp.__class__.objects.update(port=smtp_sink.port)
    make_due_rows = OutgoingMessage.objects.filter(state=State.QUEUED)
    make_due_rows.update(next_attempt_at=timezone.now() - timedelta(seconds=5))
    assert due_account_ids() == [account.pk]
    assert deliver(account.pk).sent == 1


def test_holding_off_grows(make_account):
    account = make_account()
    waits = []
    for _ in range(4):
        throttle = throttling.hold_off(account, ConnectionLost("gone"))
        waits.append((throttle.retry_at - timezone.now()).total_seconds() / 60)
    assert [0.7 < wait / 2**step < 1.3 for step, wait in enumerate(waits)] == [True] * 4


def test_r39_saving_settings_or_retiring_stops_a_running_session_before_its_next_dot(
    account, smtp_sink, monkeypatch, mail_administrator
):
    rows = [queue(), queue(), queue()]
    mark = claims.mark_dot_sent

    def retired_meanwhile(claim):
        if claim.message.pk == rows[1].pk:
            retire_account(account=account, by=mail_administrator)
        mark(claim)

    monkeypatch.setattr(claims, "mark_dot_sent", retired_meanwhile)
    report = deliver(account.pk)
    states = list(OutgoingMessage.objects.order_by("pk").values_list("state", flat=True))
    assert (report.sent, report.error) == (1, "lease_lost")
    assert states == [State.SENT, State.QUEUED, State.QUEUED]
    assert len(smtp_sink.transactions) == 1


def test_r5_a_database_that_is_away_for_a_moment_makes_no_sent_mail_uncertain(
    account, smtp_sink, monkeypatch
):
    row = queue()
    record, failures = outcomes.record_result, [OperationalError("server closed the connection")]

    def fail_once(claim, result, dialogue):
        state = record(claim, result, dialogue)  # committed, but the answer is lost
        if failures:
            raise failures.pop()
        return state

    monkeypatch.setattr(outcomes, "record_result", fail_once)
    monkeypatch.setattr("outbound.delivery._RECORD_PAUSES", (0.0,))
    assert deliver(account.pk).sent == 1
    row.refresh_from_db()
    assert (row.state, row.attempts, row.delivery_attempts.count()) == (State.SENT, 1, 1)


def test_p7_a_mail_more_costs_six_statements(account, smtp_sink):
    def statements(count: int) -> int:
        for _ in range(count):
            queue()
        with CaptureQueriesContext(connection) as captured:
            assert deliver(account.pk).sent == count
        return len([query for query in captured if query["sql"].split()[0] in {"SELECT", "UPDATE", "INSERT"}])

    few, many = statements(5), statements(15)
    assert many - few == 6 * 10
