"""Workers that die, oversleep or compete, a database and a broker that fail them, people who interfere."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from redis import Redis

from outbound import services as outbound
from outbound.errors import NotPossible
from outbound.models import OutgoingMessage
from soak import database
from soak.outbox import Outbox
from soak.worker import DATABASE_BROKE, Worker
from tests.servers import Cut, CuttingProxy, SmtpScript, wait_until

State = OutgoingMessage.State
_KILLED: Final = (0, -signal.SIGKILL, -signal.SIGTERM)
_DATABASE_LOST: Final = (0, DATABASE_BROKE)
_FAILPOINTS: Final = (
    "outbound_after_claim", "outbound_before_dot_sent", "outbound_in_dot_sent", "outbound_before_dot",
    "outbound_after_reply", "outbound_in_record", "outbound_after_record",
)  # fmt: skip
_BLOCKED_FOR: Final = 0.5  # seconds that a rival may wait for a row that a stopped worker has locked
_LONGEST_RUN: Final = 0.25  # seconds after which most workers are done


def kill_at_failpoint(outbox: Outbox) -> None:
    """kill -9 between two steps of a delivery (R25)."""
    name, nth = outbox.rng.choice(_FAILPOINTS), outbox.rng.choice([1, 1, 2, 3])
    outbox.faults.append(f"kill at {name}, time {nth}")
    worker = outbox.start(stops_at=name, times=nth)
    if worker.has_stopped():
        worker.kill()
    outbox.end(worker, may=_KILLED)


def kill_any_time(outbox: Outbox) -> None:
    """kill -9, or SIGTERM, at a moment that no step of ours determines (R4)."""
    number = outbox.rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    _meanwhile(outbox, number.name, lambda worker: os.kill(worker.pid, number), may=_KILLED)


def kill_before_reply(outbox: Outbox) -> None:
    """kill -9 while the server ponders over a mail that it has whole (R25)."""
    outbox.one_waiting()
    pondered, connections = threading.Event(), len(outbox.proxy.from_client)
    outbox.faults.append("kill between dot and reply")
    outbox.mta.sink.script = SmtpScript(hold_dot=pondered)
    worker = outbox.start()
    streams = outbox.proxy.from_client
    wait_until(lambda: streams[connections:] and streams[-1].endswith(b"\r\n.\r\n"), "a dot arrives", 30)
    worker.kill()
    outbox.mta.sink.script = SmtpScript()
    pondered.set()
    outbox.end(worker, may=_KILLED)


def compete(outbox: Outbox) -> None:
    """Several workers at once, and one of them is killed (R9)."""
    count, seconds = outbox.rng.randint(2, 3), _moment(outbox)
    outbox.faults.append(f"{count} workers, one killed after {seconds:.3f} s")
    workers = [outbox.start() for _ in range(count)]
    time.sleep(seconds)
    workers[0].kill()
    outbox.end(*workers, may=_KILLED)


def oversleep(outbox: Outbox) -> None:
    """A worker stops for longer than lease and claims last, another takes over, the first wakes (R10).

    Where it was about to send a dot, its mail becomes uncertain until the server's reply is there after all.
    """
    # SQLite's one lock would keep everybody waiting, us as well.
    names = [name for name in _FAILPOINTS if connection.vendor != "sqlite" or "_in_" not in name]
    name, nth = outbox.rng.choice(names), outbox.rng.choice([1, 1, 2, 3])
    outbox.faults.append(f"stopped at {name}, time {nth}, woken later")
    sleeper = outbox.start(stops_at=name, times=nth)
    if not sleeper.has_stopped():
        outbox.end(sleeper)
        return
    outbox.perhaps_uncertain.update(outbox.rows.filter(state=State.DOT_SENT).values_list("pk", flat=True))
    if not _pass_time_unless_locked(outbox):
        outbox.faults.append("it holds the row: nobody can take over")
    rival = outbox.start()
    rival.has_ended(_BLOCKED_FOR)
    sleeper.resume()
    outbox.end(sleeper, rival)


def _pass_time_unless_locked(outbox: Outbox) -> bool:
    try:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                connection.cursor().execute("SET LOCAL lock_timeout = '200ms'")
            outbox.pass_time()
    except OperationalError:
        return False
    return True


def change_settings(outbox: Outbox) -> None:
    """Somebody saves the account's settings in the middle of a delivery (R39)."""
    _meanwhile(outbox, "settings saved", lambda _worker: outbox.change_settings())


def decide(outbox: Outbox) -> None:
    """People cancel, repeat and settle mails while a worker delivers."""
    outbox.faults.append("people decide")
    person, _ = User.objects.get_or_create(username="soak", is_superuser=True)
    worker = outbox.start()
    for row in outbox.rng.sample(list(outbox.rows), min(outbox.rows.count(), 8)):
        choice = outbox.rng.choice(["cancel", "repeat", "repeat", "settle"])
        try:
            if choice == "cancel":
                outbound.cancel(message=row, by=person)
            elif choice == "settle":
                outbound.settle_as_arrived(message=row, by=person)
            else:
                outbound.send_again(message=row, by=person, is_confirmed=True)
        except NotPossible:
            continue
    outbox.end(worker)


def lose_database(outbox: Outbox) -> None:
    """The database is lost at a COMMIT, done or not, of the dot or of its reply (R5)."""
    row, state = outbox.one_waiting(), outbox.rng.choice([State.DOT_SENT, State.SENT])
    is_done = outbox.rng.random() < 0.5
    outbox.faults.append(f"database lost {'after' if is_done else 'before'} the COMMIT of {state.value}")
    update = rb"SET \"state\" = '%s'[^\0]*\"id\" = %d\b.*?COMMIT" % (state.value.encode(), row.pk)
    with CuttingProxy(int(connection.settings_dict["PORT"])) as proxy:
        proxy.cut = Cut(pattern=update, from_server=False, includes_match=is_done, times=1)
        outbox.end(outbox.start(database_port=proxy.port), may=_DATABASE_LOST)


def end_database_sessions(outbox: Outbox) -> None:
    """The database drops the worker's session at any moment (R5)."""
    cut = database.terminate_others
    _meanwhile(outbox, "database sessions ended", lambda _worker: cut(), may=_DATABASE_LOST)


def crash_database(outbox: Outbox) -> None:
    """The database server goes down without a word and comes back (R5)."""
    _meanwhile(outbox, "database server crashed", lambda _worker: database.crash(), may=_DATABASE_LOST)


def flush_broker(outbox: Outbox) -> None:
    """The broker forgets everything, again and again; what is due is found all the same (R6)."""
    outbox.faults.append("broker flushed")
    broker = Redis.from_url(outbox.services.broker_url)
    worker = outbox.start()
    for _ in range(10):
        broker.flushall()
        time.sleep(0.01)
    outbox.end(worker)


def _meanwhile(
    outbox: Outbox, words: str, happen: Callable[[Worker], None], *, may: Collection[int] = (0,)
) -> None:
    """Let something happen at some moment of a worker's delivery; ``may`` as in :meth:`Outbox.end`."""
    seconds = _moment(outbox)
    outbox.faults.append(f"{words} after {seconds:.3f} s")
    worker = outbox.start()
    time.sleep(seconds)
    happen(worker)
    outbox.end(worker, may=may)


def _moment(outbox: Outbox) -> float:
    return outbox.rng.uniform(0, _LONGEST_RUN)
