"""What people decide: cancel, send again, arrived, done. Once, audited, never a hidden second copy."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import AuditEntry
from mailkit.addresses import Address
from mailkit.bounces import Bounce, RecipientReport
from outbound import services
from outbound.delivery import deliver
from outbound.errors import NotPossible, NoTransport
from outbound.models import DeliveryThrottle, OutgoingMessage
from outbound.selectors import messages_by_ids
from tests.outbound.conftest import draft
from tests.servers import SmtpScript, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("original")]

State, CopyState = OutgoingMessage.State, OutgoingMessage.CopyState


@pytest.fixture
def account(make_account, smtp_sink):
    return make_account(port=smtp_sink.port)


def queue(**fields) -> OutgoingMessage:
    return services.queue_message(draft=draft(**fields), by=None)


def ended(account, sink, script: SmtpScript, **fields) -> OutgoingMessage:
    """A mail after one attempt under ``script``; afterwards the server is friendly."""
    sink.script = script
    row = queue(**fields)
    deliver(account.pk)
    sink.script = SmtpScript()
    DeliveryThrottle.objects.all().delete()
    row.refresh_from_db()
    return row


def failed(account, sink, **fields) -> OutgoingMessage:
    return ended(account, sink, SmtpScript(mail="554 5.7.1 No"), **fields)


def uncertain(account, sink, **fields) -> OutgoingMessage:
    return ended(account, sink, SmtpScript(drop_at="DOT"), **fields)


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def test_a_waiting_mail_is_cancelled_and_never_sent(account, smtp_sink, agent):
    row = queue()
    services.cancel(message=row, by=agent)
    assert deliver(account.pk).sent == 0
    row.refresh_from_db()
    assert (row.state, row.finished_at is not None, actions()) == (
        State.CANCELLED,
        True,
        ["outbound.cancelled"],
    )
    assert smtp_sink.transactions == []


@pytest.mark.parametrize(
    "state", [State.SENDING, State.DOT_SENT, State.SENT, State.UNCERTAIN, State.CANCELLED]
)
def test_only_waiting_mail_is_cancelled(account, agent, state):
    row = queue()
    OutgoingMessage.objects.update(state=state)
    with pytest.raises(NotPossible) as refused:
        services.cancel(message=row, by=agent)
    assert (refused.value.code, actions()) == ("not_queued", [])


def test_a_failed_mail_is_sent_again_as_a_new_row_with_the_same_bytes(account, smtp_sink, agent):
    row = failed(account, smtp_sink, bcc=[Address("", "chefin@firma.example")])
    again = services.send_again(message=row, by=agent)
    assert deliver(account.pk).sent == 1
    again.refresh_from_db()
    row.refresh_from_db()
    assert (again.state, again.replaces, row.state) == (State.SENT, row, State.FAILED)
    assert (again.message_id, again.raw_id, again.created_by) == (row.message_id, row.raw_id, agent)
    assert (row.settled_by, actions()) == (agent, ["outbound.sent_again"])
    assert [t.content for t in smtp_sink.transactions] == [row.raw.content_bytes]
    assert smtp_sink.transactions[0].recipients == ("c.meinhold@kunde.example", "chefin@firma.example")
    assert messages_by_ids([row.message_id]) == {row.message_id: again}


def test_r27_sending_again_leaves_out_who_accepted_it(account, smtp_sink, agent):
    row = ended(
        account, smtp_sink, SmtpScript(recipients={"b@kunde.example": "550 5.1.1 Unknown"}),
        to=[Address("", "a@kunde.example"), Address("", "b@kunde.example")],
    )  # fmt: skip
    services.send_again(message=row, by=agent)
    deliver(account.pk)
    assert [t.recipients for t in smtp_sink.transactions] == [("a@kunde.example",), ("b@kunde.example",)]


def test_r24_an_uncertain_mail_is_repeated_only_when_a_person_confirms_it(account, smtp_sink, agent):
    row = uncertain(account, smtp_sink)
    with pytest.raises(NotPossible) as refused:
        services.send_again(message=row, by=agent)
    assert refused.value.code == "unconfirmed"
    again = services.send_again(message=row, by=agent, is_confirmed=True)
    deliver(account.pk)
    again.refresh_from_db()
    assert (again.state, again.replaces_id) == (State.SENT, row.pk)
    first, second = smtp_sink.transactions
    assert first.content == second.content  # the same Message-ID: the recipient's server may tell


def test_r24_an_uncertain_automatic_answer_is_never_repeated(account, smtp_sink, agent):
    row = uncertain(account, smtp_sink, purpose=OutgoingMessage.Purpose.AUTO_REPLY, envelope_sender="")
    with pytest.raises(NotPossible) as refused:
        services.send_again(message=row, by=agent, is_confirmed=True)
    assert refused.value.code == "auto_reply"
    assert len(smtp_sink.transactions) == 1


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING, State.SENT, State.CANCELLED])
def test_only_trouble_is_repeated(account, agent, state):
    row = queue()
    OutgoingMessage.objects.update(state=state)
    row.refresh_from_db()
    with pytest.raises(NotPossible):
        services.send_again(message=row, by=agent, is_confirmed=True)


def test_i4_two_people_repeat_the_same_mail_once(account, smtp_sink, agent, mail_administrator):
    row = failed(account, smtp_sink)
    outcomes = []
    start = threading.Barrier(2)

    def decide(user) -> None:
        start.wait()
        try:
            outcomes.append(services.send_again(message=row, by=user).pk)
        except NotPossible as refused:
            outcomes.append(refused.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=[user]) for user in (agent, mail_administrator)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(one) for one in sorted(outcomes, key=str)] == [int, str]
    assert "decided" in outcomes
    deliver(account.pk)
    assert len(smtp_sink.transactions) == 1


def test_a_mail_goes_out_through_another_account_on_request(account, make_account, smtp_sink, agent):
    relay = make_account("relay@andere.example", port=smtp_sink.port)
    row = failed(account, smtp_sink)
    again = services.send_again(message=row, by=agent, account=relay)
    assert (again.account, again.from_account, again.from_address) == (
        relay,
        account,
        "service@firma.example",
    )
    off = make_account("aus@andere.example", smtp=False)
    other = failed(account, smtp_sink)
    with pytest.raises(NoTransport):
        services.send_again(message=other, by=agent, account=off)
    other.refresh_from_db()
    assert other.settled_at is None


def test_a_mail_that_arrived_is_settled_and_copied_now(make_account, smtp_sink, agent):
    account = make_account(port=smtp_sink.port, sent_folder="Sent")
    row = uncertain(account, smtp_sink)
    assert (row.copy_state, row.copy_next_attempt_at) == (CopyState.PENDING, None)
    services.settle_as_arrived(message=row, by=agent)
    row.refresh_from_db()
    assert (row.state, row.settled_by, actions()) == (State.UNCERTAIN, agent, ["outbound.settled_as_arrived"])
    assert row.copy_next_attempt_at is not None
    with pytest.raises(NotPossible) as refused:
        services.send_again(message=row, by=agent, is_confirmed=True)
    assert refused.value.code == "decided"


def test_only_uncertain_mail_is_settled_as_arrived(account, smtp_sink, agent):
    with pytest.raises(NotPossible):
        services.settle_as_arrived(message=failed(account, smtp_sink), by=agent)


def test_the_repetition_of_an_uncertain_mail_makes_the_one_copy(make_account, smtp_sink, agent):
    account = make_account(port=smtp_sink.port, sent_folder="Sent")
    row = uncertain(account, smtp_sink)
    again = services.send_again(message=row, by=agent, is_confirmed=True)
    row.refresh_from_db()
    assert (row.copy_state, again.copy_state) == (CopyState.NONE, CopyState.PENDING)


def test_the_repetition_for_one_refused_recipient_makes_no_second_copy(make_account, smtp_sink, agent):
    account = make_account(port=smtp_sink.port, sent_folder="Sent")
    row = ended(
        account, smtp_sink, SmtpScript(recipients={"b@kunde.example": "550 5.1.1 Unknown"}),
        to=[Address("", "a@kunde.example"), Address("", "b@kunde.example")],
    )  # fmt: skip
    assert services.send_again(message=row, by=agent).copy_state == CopyState.NONE


def test_a_failed_mail_is_dismissed(account, smtp_sink, agent):
    row = failed(account, smtp_sink)
    services.dismiss(message=row, by=agent)
    assert not OutgoingMessage.objects.needing_attention().exists()
    with pytest.raises(NotPossible):
        services.dismiss(message=row, by=agent)


def test_a_person_tries_a_held_off_account_at_once(make_account, smtp_sink, agent):
    account = make_account(port=free_port())
    row = queue()
    deliver(account.pk)
    account.smtp.__class__.objects.update(port=smtp_sink.port)
    services.try_now(message=row, by=agent)
    assert deliver(account.pk).sent == 1


# -- bounces


def report(address: str, action: str = "failed") -> RecipientReport:
    return RecipientReport(address, action, "5.1.1", "550 User unknown")


def test_r28_a_bounce_is_noted_on_its_mail_and_its_recipient(account):
    row = queue(to=[Address("", "a@kunde.example"), Address("", "b@kunde.example")])
    deliver(account.pk)
    at = timezone.now()
    bounce = Bounce([report("B@Kunde.example")], [row.message_id])
    services.record_bounces([(row, bounce, at)])
    row.refresh_from_db()
    assert (row.state, row.bounced_at) == (State.SENT, at)
    assert "550 User unknown" in row.bounce_detail
    assert dict(row.recipients.values_list("address", "state")) == {
        "a@kunde.example": "accepted", "b@kunde.example": "bounced"
    }  # fmt: skip


def test_r28_a_delay_is_no_bounce(account):
    row = queue()
    bounce = Bounce([report("c.meinhold@kunde.example", "delayed")], [row.message_id])
    services.record_bounces([(row, bounce, timezone.now())])
    row.refresh_from_db()
    assert row.bounced_at is None


def test_r28_a_bounce_marks_no_recipient_of_another_mail(account):
    row, other = queue(), queue()
    bounce = Bounce([report("c.meinhold@kunde.example")], [row.message_id])
    services.record_bounces([(row, bounce, timezone.now())])
    assert other.recipients.get().state == "pending"


def test_an_unknown_message_id_belongs_to_nothing(account):
    queue()
    assert messages_by_ids(["never@firma.example"]) == {}
    assert messages_by_ids([]) == {}


def test_a_scheduled_repetition_does_not_wait(account, smtp_sink, agent):
    row = failed(account, smtp_sink)
    again = services.send_again(message=row, by=agent)
    assert again.next_attempt_at <= timezone.now()
    assert again.give_up_at - again.next_attempt_at == timedelta(days=5)
