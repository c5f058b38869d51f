"""Everything in one process: web server, worker, beat and watcher as threads (docs/adr/0003).

The embedded default needs no broker and no second process. Three details make it work: the threads pool (a
fork would not share ``memory://``), beat started with ``embedded_process=False`` for the same reason, and the
broker's ``polling_interval`` of 10 ms in the settings.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from celery import beat, current_app
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from waitress.server import create_server

from inbound.tasks import wake_poll
from inbound.watching import Watcher
from jobs import draining

logger = logging.getLogger(__name__)

WEB_THREADS = 8
WORKER_THREADS = 4
REQUEST_SECONDS = 5


class OneProcess:
    """Web server, worker, beat, watcher; :meth:`start` returns at once, :meth:`stop` waits for tasks."""

    def __init__(self, *, host: str, port: int) -> None:
        self._server: Any = create_server(
            get_wsgi_application(), host=host, port=port, threads=WEB_THREADS, ident=None
        )
        self._worker = current_app.WorkController(
            pool="threads",
            concurrency=WORKER_THREADS,
            loglevel=logging.WARNING,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )
        self._beat = beat.Service(current_app, max_interval=1, scheduler_cls=beat.Scheduler)
        self._watcher = Watcher(wake_poll)
        self._web_thread = thread("web", self._server.run)
        self._worker_thread = thread("worker", self._worker.start)
        self._beat_thread = thread("beat", lambda: self._beat.start(embedded_process=False))
        self._watcher_thread = thread("watcher", self._watcher.run)

    def start(self) -> None:
        """Start the four threads; a taken port has raised OSError at construction."""
        self._web_thread.start()
        self._worker_thread.start()
        self._beat_thread.start()
        self._watcher_thread.start()

    def stop(self) -> bool:
        """Take no new work, let running tasks end after their current step, close the port.

        Returns False when tasks go on after ``DRAIN_SECONDS``: then :func:`break_off` ends the process.
        """
        draining.begin()
        self._watcher.stop()
        self._beat.stop(wait=False)
        # Requests in hand end while the loop still carries their answers; the loop itself would go on for as
        # long as a browser keeps its connection.
        self._server.task_dispatcher.shutdown(timeout=REQUEST_SECONDS)
        self._server.close()
        ending = thread("end", lambda: self._worker.stop(exitcode=0))
        ending.start()
        until = time.monotonic() + settings.DRAIN_SECONDS
        for running in (ending, self._worker_thread, self._beat_thread, self._watcher_thread):
            running.join(max(until - time.monotonic(), 0.0))
        return not ending.is_alive()


def break_off() -> NoReturn:
    """End the process as by a crash; the interpreter itself would wait for the threads of tasks."""
    logger.warning("Tasks did not end within %s s and are broken off", settings.DRAIN_SECONDS)
    sys.stdout.flush()
    os._exit(1)


def thread(name: str, target: Callable[[], object]) -> threading.Thread:
    """A thread that does not keep the process from ending."""
    return threading.Thread(target=target, name=name, daemon=True)
