"""I4: whatever the server does, every mail ends in a final state and is on the wire at most once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailkit.addresses import Address
from outbound import services
from outbound.delivery import deliver
from outbound.models import DeliveryThrottle, OutgoingMessage
from tests.outbound.conftest import draft
from tests.servers import SmtpScript

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("original")]

State = OutgoingMessage.State
REPLIES = st.sampled_from(
    ["451 4.7.1 Greylisted", "421 4.4.5 Busy", "452 4.2.2 Full", "554 5.7.1 No", "550 5.1.1 Unknown"]
)
ADDRESSES = ["a@kunde.example", "b@kunde.example", "c@kunde.example"]
MISBEHAVIOUR = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"drop_at": st.sampled_from(["MAIL", "RCPT", "DATA", "DOT"])}),
    st.fixed_dictionaries({"drop_at": st.just("DOT"), "keeps_dropped": st.just(False)}),
    st.fixed_dictionaries({"mail": REPLIES}),
    st.fixed_dictionaries({"data": REPLIES}),
    st.fixed_dictionaries({"dot": REPLIES}),
    st.fixed_dictionaries({"recipients": st.dictionaries(st.sampled_from(ADDRESSES), REPLIES, min_size=1)}),
)
TURNS = st.lists(st.tuples(MISBEHAVIOUR, st.integers(1, 3)), max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=TURNS, mails=st.integers(1, 4))
def test_i4_every_mail_is_final_and_never_twice_on_the_wire(make_account, smtp_sink, turns, mails):
    OutgoingMessage.objects.all().delete()
    smtp_sink.transactions.clear()
    account = make_account(f"a{timezone.now().timestamp()}@firma.example", port=smtp_sink.port)
    recipients = [Address("", address) for address in ADDRESSES]
    rows = [
        services.queue_message(draft=draft(from_address=account.email, to=recipients), by=None)
        for _ in range(mails)
    ]
    for misbehaviour, times in [*turns, *[({}, 0)] * 4]:
        smtp_sink.script = SmtpScript(**misbehaviour, times=times)
        let_time_pass()
        deliver(account.pk)
    check_wire(smtp_sink, rows)


def let_time_pass() -> None:
    past = timezone.now() - timedelta(seconds=5)
    OutgoingMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=past)
    DeliveryThrottle.objects.update(retry_at=past)


def check_wire(sink, rows: list[OutgoingMessage]) -> None:
    wire = Counter(
        (transaction.content, recipient)
        for transaction in sink.transactions
        for recipient in transaction.recipients
    )
    assert max(wire.values(), default=1) == 1
    for row in rows:
        row.refresh_from_db()
        assert row.state in OutgoingMessage.FINAL_STATES
        raw = row.raw.content_bytes
        for recipient in row.recipients.all():
            arrived = wire[raw, recipient.address] == 1
            if recipient.state == "accepted":
                assert arrived  # nothing unsent is called sent
            if recipient.state == "refused":
                assert not arrived
        if row.state == State.SENT:
            assert all(wire[raw, address] == 1 for address in ADDRESSES)
