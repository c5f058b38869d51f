"""Forty scenarios by fixed seeds, and that the checks after them find what they are there for."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from outbound.models import DeliveryAttempt, OutgoingMessage, Recipient
from soak import sends
from soak.services import CANARY

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]

SEEDS = range(40)
TOGETHER = 8
"""Scenarios of one test, which empties the database afterwards."""
State = OutgoingMessage.State


@pytest.mark.parametrize("first", SEEDS[::TOGETHER])
def test_r4_r5_r6_r9_r10_r23_r24_r25_r26_r27_r39_i4_hold_by_seed(assert_all_hold, first):
    assert_all_hold(sends.run, range(first, first + TOGETHER), at_least=3, on_sqlite=3)


@pytest.fixture
def outbox(services, original):
    """One that has sent five mails through the sink, without a fault."""
    with sends.begin(0, random.Random(0), services) as outbox:
        assert not outbox.goes_through_postfix
        outbox.queue(5)
        outbox.settle()
        yield outbox


def _lose(outbox):
    outbox.mta.sink.transactions.pop()
    return "lost"


def _send_twice(outbox):
    outbox.mta.sink.transactions.append(outbox.mta.sink.transactions[0])
    return "duplicated"


def _send_though_refused(outbox):
    Recipient.objects.filter(message=outbox.rows.first()).update(state=Recipient.State.REFUSED)
    return "duplicated"


def _change_bytes(outbox):
    first = outbox.mta.sink.transactions[0]
    outbox.mta.sink.transactions[0] = replace(first, content=first.content + b"x")
    return "other bytes"


def _send_to_a_stranger(outbox):
    first = outbox.mta.sink.transactions[0]
    outbox.mta.sink.transactions[0] = replace(first, recipients=(*first.recipients, "x@fremd.example"))
    return "nobody queued"


def _leave_unfinished(outbox):
    outbox.rows.filter(pk=outbox.rows.first().pk).update(state=State.QUEUED)
    return "never finished"


def _doubt(outbox):
    outbox.rows.filter(pk=outbox.rows.first().pk).update(state=State.UNCERTAIN)
    return "uncertain without a fault"


def _drop_without_doubt(outbox):
    outbox.uncertain_for_sure.add(outbox.rows.first().pk)
    return "yet not uncertain"


def _forget_a_recipient(outbox):
    row = outbox.rows.first()
    outbox.mta.sink.transactions[:] = [
        one for one in outbox.mta.sink.transactions if row.message_id.encode() not in one.content
    ]
    row.recipients.update(state=Recipient.State.PENDING)
    return "its recipients"


def _leave_an_attempt_open(outbox):
    DeliveryAttempt.objects.filter(message=outbox.rows.first()).update(finished_at=None)
    return "an attempt without an outcome"


def _write_the_password_down(outbox):
    outbox.log.write_text(f"login with {CANARY}")
    return f"the password is in {outbox.log}"


def _keep_the_password_with_an_attempt(outbox):
    DeliveryAttempt.objects.filter(message=outbox.rows.first()).update(transcript=f"AUTH {CANARY}")
    return "the password is in an attempt"


@pytest.mark.parametrize(
    "harm",
    [
        _lose, _send_twice, _send_though_refused, _change_bytes, _send_to_a_stranger, _leave_unfinished,
        _doubt, _drop_without_doubt, _forget_a_recipient, _leave_an_attempt_open,
        _write_the_password_down, _keep_the_password_with_an_attempt,
    ],
)  # fmt: skip
def test_what_does_not_hold_is_found(outbox, harm):
    before = sends.check(outbox)
    assert (before.holds, before.done) == (True, 5), before.findings
    words = harm(outbox)
    assert any(words in finding for finding in sends.check(outbox).findings)
