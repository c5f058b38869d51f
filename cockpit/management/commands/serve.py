"""``manage.py serve``: the whole product in one process."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cockpit.process import OneProcess, break_off


class Command(BaseCommand):
    """Run web server, worker and beat in this process until Ctrl-C or SIGTERM."""

    help = "Runs web server, worker and beat in one process, for a company on one machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            process = OneProcess(host=options["host"], port=options["port"])
        except OSError as error:
            raise CommandError(
                f"Port {options['port']} is not free ({error.strerror}). Choose another with --port."
            ) from error
        with stopped_by_signal() as stopped:
            process.start()
            self.stdout.write(f"Running at http://{options['host']}:{options['port']}/ – Ctrl-C ends it.")
            self.stdout.flush()
            stopped.wait()
        self.stdout.write("Stopping; running tasks finish first.")
        if not process.stop():
            break_off()


@contextmanager
def stopped_by_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, while the context lasts."""
    stopped = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
