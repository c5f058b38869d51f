"""Queueing: the bytes are frozen, the envelope is complete, the statements are few."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from archive.models import RawMail
from mailkit.addresses import Address
from mailkit.errors import InvalidAddress, InvalidArgument
from outbound import services
from outbound.errors import NoTransport
from outbound.models import OutgoingMessage, Recipient
from tests.outbound.conftest import draft

pytestmark = pytest.mark.django_db


def queue(**fields) -> OutgoingMessage:
    return services.queue_message(draft=draft(**fields), by=None)


def test_the_queued_row_says_everything_that_delivery_needs(make_account, agent):
    account = make_account(sent_folder="Sent")
    row = services.queue_message(draft=draft(), by=agent)
    row.refresh_from_db()
    assert (row.state, row.account, row.from_account, row.created_by) == ("queued", account, account, agent)
    assert (row.envelope_sender, row.from_name) == ("service@firma.example", "Firma Service")
    assert row.copy_state == OutgoingMessage.CopyState.PENDING
    assert row.next_attempt_at <= timezone.now()
    assert row.raw.verifies()
    assert f"Message-ID: <{row.message_id}>".encode() in row.raw.content_bytes


def test_t22_bcc_stands_in_the_envelope_only(make_account):
    make_account()
    row = queue(bcc=[Address("Chefin", "chefin@firma.example")])
    assert row.recipients.get(address="chefin@firma.example").kind == Recipient.Kind.BCC
    raw = row.raw.__class__.objects.get(pk=row.raw_id).content_bytes
    assert b"chefin" not in raw.lower()
    assert b"bcc" not in raw.lower()


def test_an_address_named_twice_gets_one_copy(make_account):
    make_account()
    row = queue(cc=[Address("", "C.Meinhold@KUNDE.example"), Address("", "zweite@kunde.example")])
    assert list(row.recipients.order_by("pk").values_list("kind", "address")) == [
        ("to", "c.meinhold@kunde.example"),
        ("cc", "zweite@kunde.example"),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "Angebot\r\nBcc: alle@firma.example"},
        {"headers": {"X-Loop": "a\r\nBcc: b@c.example"}},
        {"from_name": "Service\nBcc: b@c.example"},
        {"references": ["a@b\r\nBcc: c@d.example"]},
        {"headers": {"Bcc": "b@c.example"}},
    ],
)
def test_t16_nothing_that_breaks_a_line_enters_a_header(make_account, fields):
    make_account()
    with pytest.raises(InvalidArgument):
        services.compose(draft(**fields))


@pytest.mark.parametrize("address", ["a@b.example>\r\nRCPT TO:<c@d.example", "ohne-at", "a b@c.example", ""])
def test_t16_no_bad_address_enters_the_envelope(make_account, address):
    make_account()
    with pytest.raises((InvalidAddress, InvalidArgument)):
        services.compose(draft(bcc=[Address("", address)]))


def test_a_mail_to_nobody_is_refused(make_account):
    make_account()
    with pytest.raises(InvalidAddress):
        services.compose(draft(to=[]))


def test_nothing_leaves_through_a_stranger(make_account):
    make_account("verwaltung@andere.example")
    with pytest.raises(NoTransport) as caught:
        services.compose(draft())
    assert "service@firma.example" in str(caught.value)
    assert not OutgoingMessage.objects.exists()


def test_an_explicit_account_carries_and_the_from_account_keeps_name_and_copy(make_account):
    own = make_account(smtp=False, sent_folder="Gesendet")
    relay = make_account("relay@firma.example", display_name="Relay")
    row = queue(account_id=relay.pk)
    assert (row.account, row.from_account, row.from_name) == (relay, own, "Firma Service")
    assert row.copy_state == OutgoingMessage.CopyState.PENDING
    with pytest.raises(NoTransport):
        services.compose(draft(account_id=own.pk))


def test_the_client_alias_names_the_message_id(make_account):
    make_account(client_alias="erp.firma.example")
    assert queue().message_id.endswith("@erp.firma.example")


def test_a_given_message_id_and_the_null_sender_stay(make_account):
    make_account()
    row = queue(message_id="t1.x.y@firma.example", envelope_sender="")
    assert (row.message_id, row.envelope_sender) == ("t1.x.y@firma.example", "")


def test_not_before_delays_the_first_attempt_and_the_giving_up(make_account):
    make_account()
    later = timezone.now().replace(microsecond=0) + timedelta(hours=3)
    row = services.queue_message(draft=draft(), by=None, not_before=later)
    assert row.next_attempt_at == later
    assert row.give_up_at == later + timedelta(days=5)


def test_many_mails_cost_as_many_statements_as_few(make_account):
    make_account()

    def statements(count: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            composed = services.compose_many([draft(subject=f"Mail {n}") for n in range(count)])
            with transaction.atomic():
                rows = services.queue_many(composed, by=None)
        assert [row.subject for row in rows] == [f"Mail {n}" for n in range(count)]
        return len(captured)

    assert statements(5) == statements(20)  # SQLite splits inserts above some 30 rows
    assert RawMail.objects.count() == 25


def test_a_rolled_back_transaction_queues_nothing(make_account, django_capture_on_commit_callbacks):
    make_account()
    composed = services.compose(draft())

    def queue_and_fail() -> None:
        with transaction.atomic():
            services.queue_composed(composed, by=None)
            raise RuntimeError

    with django_capture_on_commit_callbacks() as callbacks, pytest.raises(RuntimeError):
        queue_and_fail()
    assert not OutgoingMessage.objects.exists()
    assert callbacks == []
