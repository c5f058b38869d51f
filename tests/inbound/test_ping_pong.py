"""A day between two own accounts that answer automatically; their mail truly travels (R37, R38)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from inbound import discovery
from inbound.models import AutoReply
from mailaccounts.models import SmtpSettings
from outbound.delivery import deliver
from outbound.models import OutgoingMessage
from tests.inbound.conftest import Station, mail
from tests.servers import SmtpSink, Transaction
from tickets.models import Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]

Forward = Callable[[Transaction, str], bytes]


@dataclass
class Post:
    """Sends what is queued through a real SMTP server and delivers what that accepted to real mailboxes.

    ``ways``: which station a recipient's mail reaches in the end, and what happens to it on the way.
    """

    sink: SmtpSink
    ways: dict[str, tuple[Station, Forward]]
    carried: int = field(default=0)

    def carry(self) -> None:
        """Send all that is due and deliver all that was sent."""
        earlier = timezone.now() - timedelta(hours=1)
        OutgoingMessage.objects.filter(state="queued").update(next_attempt_at=earlier)
        for account_id in SmtpSettings.objects.values_list("account_id", flat=True):
            deliver(account_id)
        arrived = self.sink.transactions[self.carried :]
        self.carried += len(arrived)
        for transaction in arrived:
            for recipient in transaction.recipients:
                station, forward = self.ways[recipient]
                station.deliver(forward(transaction, recipient))


def as_it_is(transaction: Transaction, recipient: str) -> bytes:
    """As a server hands it to a mailbox."""
    trace = f"Return-Path: <{transaction.envelope_sender}>\r\nDelivered-To: {recipient}\r\n"
    return f"{trace}Received: from mx.example\r\n".encode() + transaction.content


def stripped(sender: str) -> Forward:
    """Through a gateway that rewrites the author and drops whatever RFC 3834 asks for."""

    def forward(transaction: Transaction, recipient: str) -> bytes:
        marks = rb"(?mi)^(auto-submitted|x-auto-response-suppress|x-loop|from):.*\r\n([ \t].*\r\n)*"
        content = re.sub(marks, b"", transaction.content)
        author = f"Return-Path: <{sender}>\r\nFrom: <{sender}>\r\n"
        return f"{author}Delivered-To: {recipient}\r\n".encode() + content

    return forward


@pytest.fixture
def pair(make_station, smtp_sink, monkeypatch) -> tuple[Station, Station]:
    """eins@firma.example and zwei@firma.example; mail arrives when the test's clock says."""
    stations = []
    for name in ("eins", "zwei"):
        station = make_station(f"{name}@firma.example", sends=True)
        station.answer_automatically()
        stations.append(station)
    SmtpSettings.objects.update(port=smtp_sink.port)
    real = discovery._row
    monkeypatch.setattr(
        discovery,
        "_row",
        lambda visit, mailbox, one: real(visit, mailbox, replace(one, internal_date=timezone.now())),
    )
    one, two = stations
    return one, two


def _pass_a_day(post: Post, *stations: Station, step: int = 3) -> None:
    begin = timezone.now()
    for hour in range(0, 24, step):
        with time_machine.travel(begin + timedelta(hours=hour), tick=True):
            for station in stations:
                station.poll()
        post.carry()


def test_r37_two_own_accounts_never_answer_each_other(pair, smtp_sink):
    one, two = pair
    post = Post(smtp_sink, {"eins@firma.example": (one, as_it_is), "zwei@firma.example": (two, as_it_is)})
    one.deliver(mail("Anstoß", sender="zwei@firma.example", to="eins@firma.example"))
    _pass_a_day(post, one, two)
    assert smtp_sink.transactions == []
    assert one.decisions() == ["own-address"]
    assert Ticket.objects.count() == 1


def test_r37_an_alias_that_forwards_back_makes_one_answer_and_two_tickets_at_most(pair, smtp_sink):
    """The alias lies outside: the answer to it comes back to the other account."""
    one, two = pair
    post = Post(smtp_sink, {"alias@extern.example": (two, as_it_is)})
    one.deliver(mail("Anstoß", sender="alias@extern.example", to="eins@firma.example"))
    _pass_a_day(post, one, two)
    assert len(smtp_sink.transactions) == 1
    assert Ticket.objects.count() <= 2
    assert two.rows().get().reason == "loop"


def test_r37_r38_a_gateway_that_strips_all_marks_gets_one_answer_of_each_account_a_day(pair, smtp_sink):
    """Nothing tells that these mails are automatic: the counters stop them."""
    one, two = pair
    ways = {
        "zu-zwei@extern.example": (two, stripped("zu-eins@extern.example")),
        "zu-eins@extern.example": (one, stripped("zu-zwei@extern.example")),
    }
    post = Post(smtp_sink, ways)
    one.deliver(mail("Anstoß", sender="zu-zwei@extern.example", to="eins@firma.example"))
    _pass_a_day(post, one, two)
    answered = AutoReply.objects.filter(is_sent=True).values_list("account_id", "sender")
    assert sorted(answered) == [
        (one.account.pk, "zu-zwei@extern.example"),
        (two.account.pk, "zu-eins@extern.example"),
    ]
    assert len(smtp_sink.transactions) == 2
    assert Ticket.objects.count() <= 2
