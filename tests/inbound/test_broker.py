"""The broker only wakes: flushed, gone, redelivering, or its workers killed, every mail is imported once."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from kombu import Connection

from inbound import checking, polling, tasks
from inbound.models import IncomingMessage
from jobs import leases
from jobs.models import Lease
from mailaccounts.models import AccountHealth, ImapSettings
from tests.inbound.conftest import State, mail
from tests.server_proxy import Gate
from tests.server_redis import RedisServer, worker
from tests.servers import wait_until
from tickets.models import Ticket, TicketMessage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]

PERIOD = 5
"""Seconds between two polls of the account."""
RECONNECTS = 4
"""Seconds after which Celery looks for a lost broker again."""
SOON = 60.0
"""Seconds that a process may take to start, or to notice something, on a busy machine."""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def log(tmp_path) -> Path:
    """What the workers write."""
    return tmp_path / "worker.log"


@pytest.fixture
def start(redis, log):
    """Start workers: ``with start("--beat", "--concurrency=2"):``."""
    return lambda *options: worker(redis, *options, log=log)


def _imported(count: int) -> Callable[[], bool]:
    return lambda: TicketMessage.objects.count() == count


def _due(station) -> None:
    AccountHealth.objects.filter(account=station.account).update(next_poll_at=timezone.now())


def test_r6_a_broker_flushed_or_gone_delays_the_poll_by_two_periods_at_most(make_station, redis, start):
    station = make_station(poll_seconds=PERIOD)
    station.deliver(mail("Eins"))
    with start("--beat", "--concurrency=1"):
        wait_until(_imported(1), "the first mail is imported", SOON)
        redis.client.flushall()
        station.deliver(mail("Zwei"))
        wait_until(_imported(2), "the mail after the flush is imported", 2 * PERIOD)
        redis.stop()
        station.deliver(mail("Drei"))
        redis.start()
        wait_until(_imported(3), "the mail of the outage is imported", 2 * PERIOD + RECONNECTS)
    assert station.states() == [State.IMPORTED] * 3


def test_r6_a_lost_wake_up_leaves_the_account_due_again_within_two_periods(station, monkeypatch):
    """The account is claimed, the task that should poll it vanishes with the broker."""
    ordinary = timedelta(seconds=ImapSettings._meta.get_field("poll_seconds").default)
    station.deliver(mail())
    assert checking.check_due(lambda _account_id: None) == 1
    due = AccountHealth.objects.get(account=station.account).next_poll_at
    assert due - timezone.now() <= 2 * ordinary


def test_r7_a_task_delivered_again_while_it_runs_does_nothing(make_station, imap_proxy, redis, start, log):
    """Redis hands out what is not acknowledged within the visibility timeout; the first run takes longer."""
    station = make_station(port=imap_proxy.port)
    station.deliver(mail("Eins"))
    gate = imap_proxy.cut = Gate(pattern=rb"UID FETCH", from_server=False)
    with start("--concurrency=2"), Connection(redis.url) as connection:
        tasks.poll_account.apply_async([station.account.pk], connection=connection)
        wait_until(gate.is_reached, "the poll fetches", SOON)
        wait_until(lambda: redis.client.zcard("unacked_index") == 1, "one run is under way")
        _let_the_timeout_pass(redis)
        connection.default_channel.qos.restore_visible()
        wait_until(lambda: "poll: already_polling" in log.read_text(), "the second run ends", SOON)
        assert _imported(0)()
        gate.open()
        wait_until(_imported(1), "the first run imports", SOON)
    assert len(imap_proxy.from_client) == 1
    assert station.states() == [State.IMPORTED]


def _let_the_timeout_pass(redis) -> None:
    """As if the task had been handed out two hours ago."""
    for tag in redis.client.zrange("unacked_index", 0, -1):
        redis.client.zadd("unacked_index", {tag: time.time() - 7200})


def test_r8_a_worker_killed_for_its_memory_loses_nothing(make_station, imap_proxy, start, log):
    """SIGKILL as the kernel sends it for want of memory; beat finds the work once the lease is free."""
    station = make_station(port=imap_proxy.port)
    station.deliver(mail("Eins"), mail("Zwei"))
    gate = imap_proxy.cut = Gate(pattern=rb"BODY\.PEEK", from_server=False)
    with start("--beat", "--concurrency=1"):
        wait_until(gate.is_reached, "the poll fetches", SOON)
        os.kill(_holder(station), signal.SIGKILL)
        imap_proxy.cut = None
        gate.open()
        wait_until(lambda: "poll: already_polling" in log.read_text(), "its task is delivered again", SOON)
        assert station.states() == [State.SEEN, State.SEEN]
        leases.revoke([station.account.lease_name])  # as its expiry would
        _due(station)
        wait_until(_imported(2), "another process imports", SOON)
    assert Ticket.objects.count() == 2
    assert station.states() == [State.IMPORTED, State.IMPORTED]


def test_r10_a_worker_that_wakes_after_its_lease_commits_nothing_and_deletes_nothing(
    make_station, imap_proxy, start, log
):
    """SIGSTOP in the middle of a poll, the lease runs out, another worker polls, SIGCONT."""
    station = make_station(port=imap_proxy.port)
    station.deliver(mail("Eins"), mail("Zwei"))
    gate = imap_proxy.cut = Gate(pattern=rb"BODY\.PEEK", from_server=False)
    with start("--beat", "--concurrency=1"):
        wait_until(gate.is_reached, "the poll fetches", SOON)
        sleeper = _holder(station)
        os.kill(sleeper, signal.SIGSTOP)
        imap_proxy.cut = None
        gate.open()
        station.change(deletes_on_server=True, delete_imported_after=timezone.now())
        leases.revoke([station.account.lease_name])  # as its expiry would
        assert polling.poll(station.account.pk).deleted == 2
        station.deliver(mail("Drei"))
        os.kill(sleeper, signal.SIGCONT)
        wait_until(lambda: "poll: settings_changed" in log.read_text(), "the sleeper is refused", SOON)
    assert station.states() == [State.IMPORTED, State.IMPORTED]
    assert len(station.server.flags(station.user)) == 1
    assert Ticket.objects.count() == TicketMessage.objects.count() == 2


def _holder(station) -> int:
    """Process that polls the account."""
    return int(Lease.objects.get(name=station.account.lease_name).holder.rpartition(":")[2])


def test_r9_two_beats_and_eight_workers_open_one_session_at_a_time(
    make_station, imap_proxy, redis, start, log
):
    station = make_station(port=imap_proxy.port, poll_seconds=1)
    with (
        start("--beat", "--concurrency=4"),
        start("--beat", "--concurrency=4"),
        Connection(redis.url) as broker,
    ):
        for batch in range(2):
            station.deliver(*[mail(f"Nummer {batch}-{number}") for number in range(10)])
            for _ in range(8):
                tasks.poll_account.apply_async([station.account.pk], connection=broker)
            wait_until(_imported(10 * (batch + 1)), "the batch is imported", SOON)
    assert Ticket.objects.count() == IncomingMessage.objects.count() == 20
    assert sorted(_fetched(imap_proxy)) == list(range(1, 21))  # no two sessions took the same work
    assert "poll: settings_changed" not in log.read_text()  # nor did one push another aside


def _fetched(proxy) -> Iterator[int]:
    """UIDs whose contents were asked for, in all sessions."""
    for asked in re.findall(rb"UID FETCH (\S+) \(INTERNALDATE BODY", b"".join(proxy.from_client)):
        for part in asked.decode().split(","):
            first, _, last = part.partition(":")
            yield from range(int(first), int(last or first) + 1)
