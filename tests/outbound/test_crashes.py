"""Workers that die: real processes, killed as by ``kill -9``, against a real SMTP server (R23, R25, R42)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from jobs.models import Lease
from outbound import claims, services
from outbound.models import OutgoingMessage
from tests.outbound.conftest import draft

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("original"), pytest.mark.servers
]  # fmt: skip

State = OutgoingMessage.State
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def account(make_account, smtp_sink):
    return make_account(port=smtp_sink.port)


def worker(*arguments: str, failpoint: str = "") -> subprocess.Popen[str]:
    """Start ``manage.py`` in a process of its own on this test's database."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_URL": database_url(),
        "FAILPOINT": failpoint,
    }
    connection.close()
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def database_url() -> str:
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{database['NAME']}"
    login = f"{database['USER']}:{database['PASSWORD']}".rstrip(":")
    port = f":{database['PORT']}" if database["PORT"] else ""  # part of what tells a copy from the original
    return f"postgres://{login}@{database['HOST']}{port}/{database['NAME']}"


def run(*arguments: str, failpoint: str = "") -> tuple[int, str]:
    process = worker(*arguments, failpoint=failpoint)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def age_claims() -> None:
    """Let ten minutes pass since the worker died."""
    past = timezone.now() - claims.STALE_AFTER - timedelta(minutes=1)
    OutgoingMessage.objects.filter(inflight_since__isnull=False).update(inflight_since=past)
    Lease.objects.update(expires_at=past)


@pytest.mark.parametrize(
    ("failpoint", "state_left", "state_later", "copies"),
    [
        # The dot was never sent: the mail waits again, and one copy arrives (R23).
        ("outbound_after_claim", State.SENDING, State.SENT, 1),
        ("outbound_before_dot_sent", State.SENDING, State.SENT, 1),
        ("outbound_in_dot_sent", State.SENDING, State.SENT, 1),
        # Written down, but not sent: nobody can know, so nobody repeats it.
        ("outbound_before_dot", State.DOT_SENT, State.UNCERTAIN, 0),
        # 250 received, not saved (R25): like R24.
        ("outbound_after_reply", State.DOT_SENT, State.UNCERTAIN, 1),
        ("outbound_in_record", State.DOT_SENT, State.UNCERTAIN, 1),
        ("outbound_after_record", State.SENT, State.SENT, 1),
    ],
)
def test_r25_a_worker_killed_around_the_dot(account, smtp_sink, failpoint, state_left, state_later, copies):
    row = services.queue_message(draft=draft(), by=None)
    code, output = run("deliver_once", failpoint=failpoint)
    assert code == -signal.SIGKILL, output
    row.refresh_from_db()
    assert row.state == state_left
    assert run("deliver_once")[0] == 0  # too early to tell that it is dead
    row.refresh_from_db()
    assert row.state == state_left
    age_claims()
    assert run("deliver_once")[0] == 0
    row.refresh_from_db()
    assert (row.state, len(smtp_sink.transactions)) == (state_later, copies)


def test_r25_a_worker_killed_before_the_reply_leaves_one_copy_and_an_uncertain_row(account, smtp_sink):
    taken, killed = threading.Event(), threading.Event()
    accept = smtp_sink.handle_DATA

    async def take_and_ponder(server, session, envelope):
        reply = await accept(server, session, envelope)
        taken.set()
        await server.loop.run_in_executor(None, killed.wait, 30)
        return reply

    smtp_sink.handle_DATA = take_and_ponder
    row = services.queue_message(draft=draft(), by=None)
    process = worker("deliver_once")
    try:
        assert taken.wait(30)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        killed.set()
    age_claims()
    code, output = run("deliver_once")
    assert (code, output.strip()) == (0, "")
    row.refresh_from_db()
    assert (row.state, row.last_error) == (State.UNCERTAIN, "delivery_uncertain")
    assert row.delivery_attempts.get().outcome == "delivery_uncertain"
    assert len(smtp_sink.transactions) == 1


def test_r23_mails_claimed_with_the_one_that_killed_the_worker_go_out_later(account, smtp_sink):
    for _ in range(5):
        services.queue_message(draft=draft(), by=None)
    run("deliver_once", failpoint="outbound_before_dot_sent:3")
    states = list(OutgoingMessage.objects.order_by("pk").values_list("state", flat=True))
    assert states == [State.SENT] * 2 + [State.SENDING] * 3
    age_claims()
    run("deliver_once")
    assert set(OutgoingMessage.objects.values_list("state", flat=True)) == {State.SENT}
    assert len(smtp_sink.transactions) == 5


def test_deliver_once_says_a_line_an_account(account, make_account, smtp_sink):
    services.queue_message(draft=draft(), by=None)
    closed = make_account("zu@firma.example", port=1)
    services.queue_message(draft=draft(from_address=closed.email), by=None)
    code, output = run("deliver_once")
    assert "service@firma.example: sent=1 failed=0 uncertain=0 deferred=0\n" in output
    assert "zu@firma.example: sent=0 failed=0 uncertain=0 deferred=1 waiting=connection_refused\n" in output
    assert code == 0
