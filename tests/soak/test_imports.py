"""Sixty scenarios by fixed seeds, and that the checks after them find what they are there for."""

from __future__ import annotations

import base64
import random
from contextlib import ExitStack

import pytest
from django.db import connection
from redis import Redis

from archive.models import RawMail
from inbound.models import AutoReply, IncomingMessage
from soak import canary, imports, invariants
from soak.mails import Letter, MailWriter
from soak.services import CANARY
from tickets.models import TicketMessage, TicketOptions

pytestmark = pytest.mark.django_db(transaction=True)

SEEDS = range(60)
TOGETHER = 10
"""Scenarios of one test, which empties the database afterwards."""
State = IncomingMessage.State


@pytest.mark.parametrize("first", SEEDS[::TOGETHER])
def test_r1_to_r17_i1_to_i3_hold_by_seed(assert_all_hold, first):
    assert_all_hold(imports.run, range(first, first + TOGETHER), at_least=8, on_sqlite=4)


@pytest.fixture
def scene(services, original):
    """An account that has polled eight plain mails, without a fault."""
    with ExitStack() as stack:
        scene = imports.begin(0, random.Random(3), services, stack)
        TicketOptions.objects.filter(account=scene.account).update(deletes_on_server=False)
        writer = MailWriter(0, random.Random(3))
        scene.mailbox.deliver([Letter(writer._plain()) for writer._count in range(8)])
        scene.check()
        yield scene


def _lose_a_row(scene):
    row = scene.account.incoming.last()
    AutoReply.objects.filter(incoming=row).delete()
    row.delete()
    return "and the ledger does not say so", {"lost": 1}


def _import_twice(scene):
    message = TicketMessage.objects.filter(ticket__account=scene.account, kind="incoming").first()
    message.pk = None
    message.save()
    return "has no row", {"duplicated": 1}


def _remove_from_the_server(scene):
    with scene.mailbox.server.rival(scene.mailbox.user) as client:
        client.uid("STORE", "1", "+FLAGS", r"(\Deleted)")
        client.expunge()
    return "and the ledger says so", {"foreign": 1}


def _mark_as_read(scene):
    with scene.mailbox.server.rival(scene.mailbox.user) as client:
        client.uid("STORE", "1:2", "+FLAGS", r"(\Seen)")
    return "Seen", {"foreign": 2}


def _leave_unfinished(scene):
    scene.account.incoming.update(state=State.STORED)
    return "stays stored", {}


def _store_other_bytes(scene):
    raw = scene.account.incoming.first().raw
    raw.content = b"other"
    raw.save()
    return "does not hash to its SHA-256", {"lost": 1}


def _answer_twice(scene):
    scene.account.auto_replies.filter(is_sent=False).update(is_sent=True)
    return "was answered 2 times", {}


def _decide_nothing(scene):
    scene.account.auto_replies.filter(is_sent=False).delete()
    return "nothing decided about an answer", {}


def _queue_an_answer_for_no_decision(scene):
    scene.account.auto_replies.filter(is_sent=True).update(outgoing=None)
    return "answers queued for 0 decisions", {}


@pytest.mark.parametrize(
    "harm",
    [
        _lose_a_row, _import_twice, _remove_from_the_server, _mark_as_read, _leave_unfinished,
        _store_other_bytes, _answer_twice, _decide_nothing, _queue_an_answer_for_no_decision,
    ],
)  # fmt: skip
def test_what_does_not_hold_is_found(scene, harm):
    before = invariants.check(scene.account, scene.mailbox)
    assert before.holds, before.findings
    words, counts = harm(scene)
    outcome = invariants.check(scene.account, scene.mailbox)
    assert any(words in finding for finding in outcome.findings), outcome.findings
    assert {name: getattr(outcome, name) for name in ("lost", "duplicated", "foreign")} == {
        "lost": 0, "duplicated": 0, "foreign": 0
    } | counts  # fmt: skip


def test_i5_the_canary_is_found_in_logs(services, tmp_path):
    log = tmp_path / "log"
    log.write_text("nothing")
    assert list(canary.leaks(log, services.broker_url, with_database=False)) == []
    log.write_text(f"a LOGIN info {CANARY}")
    assert len(list(canary.leaks(log, services.broker_url, with_database=False))) == 1


@pytest.mark.parametrize("before", ["", CANARY[:-1] * 2], ids=["as it is", "where Redis would compress it"])
def test_i5_the_canary_is_found_in_the_broker(services, tmp_path, before):
    with Redis.from_url(services.broker_url) as broker:
        broker.lpush("canary", before + CANARY)
        found = list(canary.leaks(tmp_path / "log", services.broker_url, with_database=False))
        broker.delete("canary")
    assert found == ["the password is in Redis"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL is dumped")
def test_i5_the_canary_is_found_in_the_database(services, tmp_path):
    RawMail.objects.create(content=CANARY.encode(), size=len(CANARY), sha256=bytes(32))
    found = list(canary.leaks(tmp_path / "log", services.broker_url, with_database=True))
    assert found == ["the password is in the database"]


@pytest.mark.parametrize("before", ["", "a", "ab", "\0user\0"])
def test_i5_the_canary_is_recognised_in_base64(before):
    assert canary.holds(base64.b64encode(f"{before}{CANARY}\0more".encode()))
    assert not canary.holds(base64.b64encode(f"{before}something else".encode()))
