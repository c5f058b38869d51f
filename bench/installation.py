"""The product's own processes, watcher and worker, over one mailbox: what push is measured with."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from dataclasses import dataclass, field

import psycopg

from bench.corpus import ROOT
from bench.processes import environment, step
from tests.servers import Dovecot, MailUser

_COMMANDS = {
    "worker": ("-m", "celery", "-A", "config", "worker", "--concurrency", "1", "--loglevel", "WARNING"),
    "watcher": ("manage.py", "watch_mailboxes"),
}
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.005


@dataclass
class Installation:
    """A database with one account on ``server``; use it in a ``with`` statement, which ends its processes.

    ``ca_file`` vouches for the server's certificate. Nothing runs until :meth:`start`.
    """

    server: Dovecot
    ca_file: str
    database_url: str
    broker_url: str
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Installation:
        step(
            "bench.poller", "prepare", "--count", "1", "--port", str(self.server.tls_port), **self._settings()
        )
        return self

    def __exit__(self, *exc: object) -> None:
        for name in list(self._processes):
            self.stop(name)

    def _settings(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "CELERY_BROKER_URL": self.broker_url,
            "MAIL_CA_FILE": self.ca_file,
            "BENCH_PASSWORD": self.server.password,
        }

    def start(self, name: str) -> None:
        """Start ``worker`` or ``watcher``; returns at once."""
        command = [sys.executable, *_COMMANDS[name]]
        self._processes[name] = subprocess.Popen(command, cwd=ROOT, env=environment(**self._settings()))

    def stop(self, name: str) -> None:
        """End the process as an operator does."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(_STOP_SECONDS)

    def deliver(self, subject: str) -> float:
        """Put a mail into the mailbox; the moment (monotonic clock) at which it lay there."""
        self.server.deliver(
            MailUser("a0@firma.example", self.server.password),
            f"From: Anna Kunde <anna@kunde.example>\r\nTo: a0@erp.example\r\nSubject: {subject}\r\n"
            f"Message-ID: <{subject}@kunde.example>\r\n\r\nGuten Tag\r\n".encode(),
        )
        return time.monotonic()

    def wait_for_ticket(self, subject: str, *, longest: float) -> float:
        """Return the moment at which its ticket was there. Raises TimeoutError after ``longest`` seconds."""
        deadline = time.monotonic() + longest
        while time.monotonic() < deadline:
            # The database may be away for a while.
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(self.database_url) as database,
            ):
                while time.monotonic() < deadline:
                    query = "SELECT count(*) FROM tickets_ticket WHERE subject = %s"
                    found = database.execute(query, [subject]).fetchone() == (1,)
                    now = time.monotonic()
                    database.rollback()
                    if found:
                        return now
                    time.sleep(_LOOK_SECONDS)
            time.sleep(_LOOK_SECONDS)
        raise TimeoutError(f"{subject} has no ticket after {longest:.0f} s")
