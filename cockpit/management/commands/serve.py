"""``manage.py serve``: the whole product in one process."""

from __future__ import annotations

import signal
import socket
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        with stopped_by_signal() as wait_for_signal:
            process.start()
            self.stdout.write(f"Running at http://{options['host']}:{options['port']}/ – Ctrl-C ends it.")
            self.stdout.flush()
            wait_for_signal()
        self.stdout.write("Stopping; running tasks finish first.")
        if not process.stop():
            break_off()


@contextmanager
def stopped_by_signal() -> Iterator[Callable[[], None]]:
    """Yield a function that returns once SIGINT or SIGTERM has come, before the call or after.

    The signal itself writes a byte, which is waited for. A ``threading.Event`` set by a handler would be
    missed: Python runs handlers in the main thread, which sleeps on when the signal reached another thread,
    or itself just before it fell asleep.
    """
    wanted = {signal.SIGINT, signal.SIGTERM}
    reader, writer = socket.socketpair()
    writer.settimeout(0)

    def wait() -> None:
        while not wanted.intersection(reader.recv(64)):
            pass

    with reader, writer:
        previous_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        previous = {number: signal.signal(number, lambda *_: None) for number in wanted}
        try:
            yield wait
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous_fd)
