"""Workers told to stop: real Celery processes on PostgreSQL and Redis, SIGTERM amid their work (R42)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection, connections
from kombu import Connection

from inbound.models import IncomingMessage
from inbound.tasks import poll_account
from outbound import claims, services
from outbound.models import OutgoingMessage
from outbound.tasks import deliver
from tests.inbound.conftest import State as Ledger
from tests.inbound.conftest import mail
from tests.outbound.conftest import draft
from tests.outbound.test_crashes import age_claims, database_url
from tests.servers import SmtpSink, free_port, wait_until
from tests.stubs.scripted import Dialogue, ScriptedServer
from tickets.models import Ticket, TicketMessage

ROOT = Path(__file__).resolve().parents[2]
BROKER = os.environ.get("TEST_BROKER_URL", "")
State = OutgoingMessage.State
LIMIT_SECONDS = 30

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("original"),
    pytest.mark.servers,
]


@pytest.fixture
def broker(worker_id) -> Iterator[str]:
    """A database of the test's Redis that nobody else uses, empty."""
    number = 2 + int(worker_id.removeprefix("gw") or 0) % 13 if worker_id.startswith("gw") else 15
    url = f"{BROKER.rsplit('/', 1)[0]}/{number}"
    with Connection(url) as link:
        link.default_channel.client.flushdb()
        yield url
        link.default_channel.client.flushdb()


class Worker:
    """``celery -A config worker`` on this test's database, its log in a file."""

    def __init__(self, broker: str, log: Path, **environment: str) -> None:
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "config", "worker", "-c", "2", "-n", f"{log.stem}@%h"],
                cwd=ROOT, stdout=output, stderr=output,
                env=os.environ | {
                    "DJANGO_SETTINGS_MODULE": "tests.settings",
                    "TEST_DATABASE_URL": database_url(),
                    "TEST_BROKER_URL": broker,
                } | environment,
            )  # fmt: skip

    def told(self) -> str:
        return self._log.read_text()

    def terminate(self) -> float:
        """Send SIGTERM as an orchestrator does; return when."""
        self.process.send_signal(signal.SIGTERM)
        return time.monotonic()

    def ends_within(self, began: float, seconds: float = LIMIT_SECONDS) -> float:
        """Wait for the end, counted from ``began``; return how long it took."""
        try:
            self.process.wait(seconds - (time.monotonic() - began))
        except subprocess.TimeoutExpired:
            pytest.fail(f"still runs after {seconds} s:\n{self.told()}")
        return time.monotonic() - began


@pytest.fixture
def start_worker(broker, tmp_path) -> Iterator:
    """Start a worker; whatever still runs at the end is killed with its children."""
    started: list[Worker] = []

    def start(name: str, **environment: str) -> Worker:
        worker = Worker(broker, tmp_path / f"{name}.log", **environment)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture
def send_task(broker):
    """``send_task(task, *ids)`` puts a task into the broker."""

    def send(task, *ids) -> None:
        with Connection(broker) as link:
            task.apply_async(args=ids, connection=link)

    return send


@pytest.fixture
def account(make_station, smtp_sink):
    """An account that sends through ``smtp_sink``."""
    account = make_station("service@firma.example", sends=True).account
    account.smtp.port = smtp_sink.port
    account.smtp.save()
    return account


several_processes = pytest.mark.skipif(
    connection.vendor != "postgresql" or not BROKER.startswith("redis"), reason="needs PostgreSQL and Redis"
)


def states() -> list[str]:
    return list(OutgoingMessage.objects.order_by("pk").values_list("state", flat=True))


def hold_the_reply(sink: SmtpSink) -> threading.Event:
    """Let the sink take mail, and say so only once the event is set."""
    accept, told = sink.handle_DATA, threading.Event()

    async def take_and_ponder(server, session, envelope):
        reply = await accept(server, session, envelope)
        await server.loop.run_in_executor(None, told.wait, 60)
        return reply

    sink.handle_DATA = take_and_ponder
    return told


@several_processes
def test_r42_sigterm_during_a_send_lets_it_end_and_leaves_the_rest_to_another_worker(
    account, smtp_sink, start_worker, send_task
):
    told = hold_the_reply(smtp_sink)
    for _ in range(3):
        services.queue_message(draft=draft(), by=None)
    worker = start_worker("first")
    send_task(deliver, account.pk)
    wait_until(lambda: State.DOT_SENT in states(), "the first mail waits for its reply", 60)
    began = worker.terminate()
    wait_until(lambda: "shutdown" in worker.told(), "the worker knows", 10)
    assert worker.process.poll() is None
    told.set()
    assert worker.ends_within(began) < LIMIT_SECONDS
    assert worker.process.returncode == 0, worker.told()
    assert states() == [State.SENT, State.QUEUED, State.QUEUED]
    assert len(smtp_sink.transactions) == 1
    start_worker("second")
    wait_until(lambda: states() == [State.SENT] * 3, "another worker sends the rest", 60)
    assert len(smtp_sink.transactions) == 3
    assert len({taken.content for taken in smtp_sink.transactions}) == 3


@several_processes
def test_r42_a_send_without_a_reply_is_broken_off_in_time_and_uncertain(
    account, smtp_sink, start_worker, send_task
):
    told = hold_the_reply(smtp_sink)
    services.queue_message(draft=draft(), by=None)
    worker = start_worker("first", DRAIN_SECONDS="3")
    send_task(deliver, account.pk)
    wait_until(lambda: states() == [State.DOT_SENT], "the mail waits for its reply", 60)
    took = worker.ends_within(worker.terminate())
    assert 3 <= took < LIMIT_SECONDS
    assert states() == [State.DOT_SENT]
    told.set()
    age_claims()
    claims.recover_stale()
    assert states() == [State.UNCERTAIN]
    assert len(smtp_sink.transactions) == 1


@contextmanager
def tickets_locked() -> Iterator[None]:
    """While it lasts no transaction gets a ticket into the database."""
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        other.set_autocommit(False)
        cursor.execute("LOCK TABLE tickets_ticket IN SHARE MODE")
        try:
            yield
        finally:
            other.rollback()
            other.close()


@several_processes
def test_r42_sigterm_during_an_import_ends_after_the_batch(make_station, start_worker, send_task):
    station = make_station()
    count = 130
    station.deliver(*[mail(f"Nummer {number}") for number in range(count)])
    rows = IncomingMessage.objects.filter(account=station.account)
    worker = start_worker("first")
    with tickets_locked():
        send_task(poll_account, station.account.pk)
        wait_until(lambda: rows.filter(state=Ledger.STORED).count() >= 50, "a batch is under way", 60)
        began = worker.terminate()
        wait_until(lambda: "shutdown" in worker.told(), "the worker knows", 10)
    worker.ends_within(began)
    assert worker.process.returncode == 0, worker.told()
    imported = rows.filter(state=Ledger.IMPORTED).count()
    assert 50 <= imported < count
    assert Ticket.objects.count() == imported
    second = start_worker("second")
    wait_until(lambda: Ticket.objects.count() == count, "another worker goes on", 60)
    assert set(rows.values_list("state", flat=True)) == {Ledger.IMPORTED}
    assert TicketMessage.objects.count() == rows.count() == count
    second.ends_within(second.terminate())


@pytest.fixture
def serve(tmp_path) -> Iterator:
    """Start ``manage.py serve`` on this test's database; its port answers once it is up."""
    started: list[subprocess.Popen] = []

    def start(**environment: str) -> subprocess.Popen:
        with (tmp_path / "log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", str(free_port())],
                cwd=ROOT, stdout=output, stderr=output,
                env=os.environ | {
                    "DJANGO_SETTINGS_MODULE": "tests.settings",
                    "TEST_DATABASE_URL": database_url(),
                    "TEST_BROKER_URL": "memory://localhost/",
                } | environment,
            )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_r42_the_one_process_lets_a_send_end_and_begins_no_other(account, smtp_sink, serve):
    told = hold_the_reply(smtp_sink)
    for _ in range(3):
        services.queue_message(draft=draft(), by=None)
    process = serve()
    wait_until(lambda: State.DOT_SENT in states(), "beat has woken the delivery", 60)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    told.set()
    assert process.wait(LIMIT_SECONDS) == 0
    assert time.monotonic() - began < LIMIT_SECONDS
    assert states() == [State.SENT, State.QUEUED, State.QUEUED]
    assert len(smtp_sink.transactions) == 1


def test_r42_the_one_process_breaks_off_what_does_not_end(account, smtp_sink, serve):
    told = hold_the_reply(smtp_sink)
    services.queue_message(draft=draft(), by=None)
    process = serve(DRAIN_SECONDS="2")
    wait_until(lambda: states() == [State.DOT_SENT], "beat has woken the delivery", 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_SECONDS) == 1
    told.set()
    assert states() == [State.DOT_SENT]
    assert len(smtp_sink.transactions) == 1


@several_processes
def test_r42_the_watcher_ends_soon_even_while_a_server_is_silent(make_station, broker, tmp_path):
    with ScriptedServer(Dialogue.hold) as silent, (tmp_path / "log").open("wb") as output:
        make_station()
        make_station(port=silent.port)
        process = subprocess.Popen(
            [sys.executable, "manage.py", "watch_mailboxes"], cwd=ROOT, stdout=output, stderr=output,
            env=os.environ | {
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "TEST_DATABASE_URL": database_url(),
                "TEST_BROKER_URL": broker,
            },
        )  # fmt: skip
        try:
            wait_until(lambda: silent.dialogues, "the watcher talks to the silent server", 60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()


ANSWER = b'"database": "ok"'  # a page without static files, which a fresh clone has not collected


def test_r42_gunicorn_answers_the_request_in_hand(tmp_path):
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}"],
            cwd=ROOT, stdout=output, stderr=output,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": database_url()},
        )  # fmt: skip
    try:
        with connected(port) as link:
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            # A second connection is answered: the first one is in a worker's hands by now.
            wait_until(lambda: ANSWER in ask(port), "gunicorn answers", 60)
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: log.read_text().count("Worker exiting") == 2, "the idle ones have gone", 30)
            link.sendall(b"Connection: close\r\n\r\n")
            assert ANSWER in read_all(link)
        assert process.wait(LIMIT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["logger"] for line in lines} >= {"gunicorn.error"}


def connected(port: int) -> socket.socket:
    """A connection to the port, once somebody listens there."""
    links: list[socket.socket] = []

    def connect() -> bool:
        with contextlib.suppress(OSError):
            links.append(socket.create_connection(("127.0.0.1", port), 30))
        return bool(links)

    wait_until(connect, "the port is open", 60)
    return links[0]


def ask(port: int) -> bytes:
    with connected(port) as link:
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return read_all(link)


def read_all(link: socket.socket) -> bytes:
    answer = b""
    while data := link.recv(65536):
        answer += data
    return answer
