"""Everything in one process: web server, worker and beat as threads (docs/adr/0003).

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

logger = logging.getLogger(__name__)

WEB_THREADS = 8
WORKER_THREADS = 4
STOP_SECONDS = 30.0


class OneProcess:
    """Web server, worker and beat; :meth:`start` returns at once, :meth:`stop` waits for running tasks."""

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
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the three threads; a taken port has raised OSError at construction."""
        self._run("web", self._server.run)
        self._run("worker", self._worker.start)
        self._run("beat", lambda: self._beat.start(embedded_process=False))

    def stop(self) -> None:
        """Take no new work, let running tasks end, close the port."""
        self._beat.stop(wait=False)
        self._server.close()
        self._worker.stop(exitcode=0)
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _run(self, name: str, target: Callable[[], object]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
