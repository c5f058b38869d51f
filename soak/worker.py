"""A worker process: forked from this one, set up already, so that SIGKILL and SIGSTOP are the real thing."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, connections

from config.celery import app
from jobs import failpoints

logger = logging.getLogger(__name__)

_WAIT_SECONDS: Final = 120.0
DATABASE_BROKE: Final = 3
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a worker meets. ``stops_at``: the failpoint where it stops, when it comes there for the
    ``times``-th time; ``database_port``: of a proxy before the database; ``timeout``: seconds that a silent
    mail server is waited for.
    """

    log: Path
    broker_url: str
    stops_at: str = ""
    times: int = 1
    database_port: int | None = None
    timeout: float = 10.0


class Worker:
    """A child process that does ``work``; whoever starts it calls :meth:`kill` or :meth:`join`."""

    def __init__(self, work: Callable[[], object], circumstances: Circumstances) -> None:
        connections.close_all()  # two processes on one connection would garble it
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _live(work, circumstances)

    def has_stopped(self) -> bool:
        """Wait until it stops at its failpoint (True) or has ended without coming there."""
        self._wait(os.WUNTRACED)
        return self._status is None

    def resume(self) -> None:
        """Let it go on where it stopped."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as ``kill -9`` does, wherever it is."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self._wait()

    def join(self) -> str:
        """Wait for its end; what went wrong in it, or "". A database that broke off is nothing wrong."""
        if self._status is None:
            self._wait()
        return "" if self.code in {0, -signal.SIGKILL, DATABASE_BROKE} else f"a worker ended with {self.code}"

    def has_ended(self, seconds: float) -> bool:
        """Wait so long for its end at most; tell whether it came."""
        deadline = time.monotonic() + seconds
        while self._status is None and time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
            time.sleep(0.002)
        return self._status is not None

    @property
    def code(self) -> int:
        """How it ended: 0, :data:`DATABASE_BROKE`, or minus the signal."""
        return os.waitstatus_to_exitcode(self._status or 0)

    def _wait(self, options: int = 0) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            pid, status = os.waitpid(self.pid, options | os.WNOHANG)
            if pid and os.WIFSTOPPED(status):
                return
            if pid:
                self._status = status
                return
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"a worker took more than {_WAIT_SECONDS:.0f} s")
            time.sleep(0.002)


def _live(work: Callable[[], object], circumstances: Circumstances) -> NoReturn:
    # Nobody would wake a stopped one any more once its parent is gone.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    code = 1
    try:
        _meet(circumstances)
        work()
        code = 0
    except (DatabaseError, InterfaceError):
        logger.exception("The database broke off")
        code = DATABASE_BROKE
    except BaseException:  # nothing may get out of a forked process
        logger.exception("A worker broke off")
    finally:
        os._exit(code)


def _meet(circumstances: Circumstances) -> None:
    handler = logging.FileHandler(circumstances.log)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG)
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).handlers = []
    settings.MAIL_TIMEOUT_SECONDS = circumstances.timeout
    url = circumstances.broker_url
    os.environ["CELERY_BROKER_URL"] = url  # comes before what is configured
    app.conf.update(broker_read_url=url, broker_write_url=url, broker_transport_options={})
    # What multiprocessing would call: forget the connections of the parent.
    app._after_fork()  # type: ignore[attr-defined]  # noqa: SLF001
    if circumstances.database_port:
        # Of this connection alone: the settings tell which installation this is.
        connection.settings_dict = connection.settings_dict | {"PORT": circumstances.database_port}
    _stop_at(circumstances.stops_at, circumstances.times)


def _stop_at(wanted: str, times: int) -> None:
    passed = 0

    def reached(name: str) -> None:
        nonlocal passed
        passed += name == wanted
        if name == wanted and passed == times:
            os.kill(os.getpid(), signal.SIGSTOP)

    failpoints.reached = reached
