"""``manage.py serve``: the whole product in one process."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cockpit.process import OneProcess


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
            stopped.wait()
        self.stdout.write("Stopping; running tasks finish first.")
        process.stop()


class stopped_by_signal:  # reads as the context manager it is
    """Context that turns SIGINT and SIGTERM into an event."""

    def __enter__(self) -> threading.Event:
        self.event = threading.Event()
        self.previous = {
            number: signal.signal(number, self.note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self.event

    def note(self, _number: int, _frame: FrameType | None) -> None:
        """Remember the wish."""
        self.event.set()

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
