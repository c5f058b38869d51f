"""Push: from the moment a mail lies in Dovecot to its ticket, with the product's own processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import psycopg

from bench import databases
from bench.corpus import ROOT
from bench.processes import environment, step
from bench.table import Result, Row
from scripts import with_services
from tests.certificates import CertificateAuthority
from tests.servers import Dovecot, MailUser

PROCESSES = (
    ("celery", "-A", "config", "worker", "--concurrency", "2", "--loglevel", "WARNING"),
    ("manage.py", "watch_mailboxes"),
)
FIRST_SECONDS = 60.0
LONGEST_SECONDS = 30.0
# Arrivals are no storm, whose pace is bounded.
PAUSE_SECONDS = 1.5
STOP_SECONDS = 30.0


def measure(folder: Path, url: str, *, count: int) -> Result:
    """Deliver ``count`` mails one after the other while watcher and worker run; seconds each took."""
    url = url.removesuffix("postgres") + "bench_push"
    authority = CertificateAuthority(folder)
    with Dovecot(authority.issue()) as server, with_services.redis(folder) as broker:
        surroundings = {
            "DATABASE_URL": url,
            "CELERY_BROKER_URL": broker,
            "MAIL_CA_FILE": authority.ca_file,
            "BENCH_PASSWORD": server.password,
        }
        databases.create(url)
        step("bench.poller", "prepare", "--count", "1", "--port", str(server.tls_port), **surroundings)
        with contextlib.ExitStack() as stack:
            for command in PROCESSES:
                stack.enter_context(_running(command, environment(**surroundings)))
            database = stack.enter_context(psycopg.connect(url, autocommit=True))
            user = MailUser("a0@firma.example", server.password)
            _arrive(server, user, database, 0, FIRST_SECONDS)
            seconds = []
            for number in range(1, count + 1):
                time.sleep(PAUSE_SECONDS)
                seconds.append(_arrive(server, user, database, number, LONGEST_SECONDS))
    print(f"arrival to ticket: {', '.join(f'{one:.2f}' for one in seconds)} s", flush=True)
    slow = quantiles(seconds, n=20)[-1]
    figure = f"arrival to ticket {median(seconds):.2f} s, 95th percentile {slow:.2f} s"
    return Result([Row("push", figure, "Dovecot's own delay 0.5 s", "–", "≤ 1 s", slow <= 1)])


@contextlib.contextmanager
def _running(command: tuple[str, ...], surroundings: dict[str, str]) -> Iterator[None]:
    program, *arguments = command
    start = [sys.executable, program] if program.endswith(".py") else [sys.executable, "-m", program]
    process = subprocess.Popen([*start, *arguments], cwd=ROOT, env=surroundings)
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _arrive(
    server: Dovecot, user: MailUser, database: psycopg.Connection, number: int, longest: float
) -> float:
    """Put one mail into the mailbox; seconds from then until the database shows its ticket."""
    server.deliver(
        user,
        b"From: Anna Kunde <anna@kunde.example>\r\nTo: a0@erp.example\r\nSubject: Frage %d\r\n"
        b"Message-ID: <push%d@kunde.example>\r\n\r\nGuten Tag\r\n" % (number, number),
    )
    arrived = time.monotonic()
    query = b"SELECT count(*) FROM tickets_ticketmessage WHERE message_id = 'push%d@kunde.example'" % number
    while database.execute(query).fetchone() != (1,):
        if time.monotonic() - arrived > longest:
            sys.exit(f"Mail {number} has no ticket after {longest:.0f} s.")
        time.sleep(0.005)
    return time.monotonic() - arrived
