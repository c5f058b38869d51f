"""Everything in one process: web server, worker, beat and watcher as threads (docs/adr/0003).

The embedded default needs no broker and no second process. Three details make it work: the threads pool (a
fork would not share ``memory://``), beat started with ``embedded_process=False`` for the same reason, and the
broker's ``polling_interval`` of 10 ms in the settings.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from celery import beat, current_app
from django.core.wsgi import get_wsgi_application
from waitress.server import create_server

from inbound.tasks import wake_poll
from inbound.watching import Watcher

logger = logging.getLogger(__name__)

WEB_THREADS = 8
WORKER_THREADS = 4
REQUEST_SECONDS = 5
STOP_SECONDS = 30.0


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

    def stop(self) -> None:
        """Take no new work, let running tasks end, close the port."""
        self._watcher.stop()
        self._beat.stop(wait=False)
        self._server.close()
        # Requests in hand end; the loop itself would go on for as long as a browser keeps its connection.
        self._server.task_dispatcher.shutdown(timeout=REQUEST_SECONDS)
        self._worker.stop(exitcode=0)
        for running in (self._worker_thread, self._beat_thread, self._watcher_thread):
            running.join(STOP_SECONDS)


def thread(name: str, target: Callable[[], object]) -> threading.Thread:
    """A thread that does not keep the process from ending."""
    return threading.Thread(target=target, name=name, daemon=True)
