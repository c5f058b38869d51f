"""A private Redis, and Celery workers on it that use the test's database."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection
from redis import Redis

from tests.server_basics import answers, free_port, require_program, stop, wait_until

ROOT = Path(__file__).resolve().parents[1]
BEAT_SECONDS = 0.5
"""The workers' beat looks for due accounts so often."""


class RedisServer:
    """A Redis without persistence that can be stopped and started again, then empty."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = require_program("redis-server", "redis-server")

    def __enter__(self) -> "RedisServer":
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, empty."""
        address = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen([self._program, *address], stdout=subprocess.DEVNULL)
        wait_until(lambda: answers(self.port), "Redis answers")

    def stop(self) -> None:
        """End it; whatever waited in it is lost."""
        stop(self._process)

    @property
    def client(self) -> "Redis":
        """A client of it."""
        return Redis(port=self.port)


@contextmanager
def worker(redis: RedisServer, *options: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A Celery worker on the test's database; ``--beat`` among ``options`` lets it look for due accounts."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_BROKER_URL": redis.url,
        "WORKER_DATABASE": str(connection.settings_dict["NAME"]),
    }
    schedule = [f"--schedule={log}.schedule"] if "--beat" in options else []
    command = [sys.executable, "-m", "tests.inbound.worker_process", *options, *schedule]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        stop(process)
        _end_children(process.pid)


def _end_children(group: int) -> None:
    """A killed worker leaves its pool behind."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
