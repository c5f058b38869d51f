"""``manage.py demo`` (by ``make demo``): company, mail server, web server, worker and beat in one command."""

from __future__ import annotations

import multiprocessing
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from cockpit.demo import cast, company
from cockpit.demo.feeder import Feeder
from cockpit.demo.mailserver import DemoMailServer
from cockpit.management.commands.serve import stopped_by_signal
from cockpit.process import OneProcess, break_off

WELCOME = """
  {url}

  Sign in as            password: {password}
{users}
  Mail keeps arriving for about two minutes. In the browser: Tickets shows it, Outbox the automatic answers,
  "Demo mailboxes" what customers receive. To connect a mailbox yourself: {spare} (password {mail_password}),
  IMAP localhost:{imap_port} STARTTLS, SMTP localhost:{smtp_port} STARTTLS.

  Ctrl-C ends the demo; 'make demo' goes on where it was, 'make demo-reset' starts afresh.
"""


class Command(BaseCommand):
    """Run the demo until Ctrl-C or SIGTERM."""

    help = "Runs the demo company with its own mail server; started by 'make demo'."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *_args: Any, **options: Any) -> None:
        if not settings.DEMO_FOLDER:
            raise CommandError("The demo needs an environment of its own. Start it with: make demo")
        port = options["port"]
        folder = Path(settings.DEMO_FOLDER)
        imap_port, smtp_port = port + cast.IMAP_OFFSET, port + cast.SMTP_OFFSET
        with collecting_static_files():
            call_command("migrate", interactive=False, verbosity=0)
            company.seed(imap_port=imap_port, smtp_port=smtp_port)
        try:
            process = OneProcess(host="127.0.0.1", port=port)
            server = DemoMailServer(
                folder, imap_port=imap_port, smtp_port=smtp_port, passwords=cast.MAILBOXES
            )
            with stopped_by_signal() as wait_for_signal, server:
                feeder = Feeder(server.mailboxes, folder / "feeder.json")
                process.start()
                feeder.start()
                self.stdout.write(self.welcome(port, imap_port, smtp_port))
                self.stdout.flush()
                wait_for_signal()
                self.stdout.write("\nStopping; running tasks finish first.")
                feeder.stop()
                has_ended = process.stop()
        except OSError as error:
            raise CommandError(
                f"Port {port}, {imap_port} or {smtp_port} is not free: {error.strerror or error}. "
                "Choose others with: make demo DEMO_PORT=8100"
            ) from error
        if not has_ended:
            break_off()

    def welcome(self, port: int, imap_port: int, smtp_port: int) -> str:
        """What the newcomer needs to know."""
        return WELCOME.format(
            url=f"http://127.0.0.1:{port}/",
            password=cast.PASSWORD,
            users="".join(f"    {user.username:<18}{user.label}\n" for user in cast.USERS),
            spare=cast.SPARE_MAILBOX,
            mail_password=cast.MAIL_PASSWORD,
            imap_port=imap_port,
            smtp_port=smtp_port,
        )


@contextmanager
def collecting_static_files() -> Iterator[None]:
    """Collect them in a process of its own meanwhile: a second less until the first page."""
    collecting = multiprocessing.get_context("fork").Process(
        target=call_command, args=("collectstatic",), kwargs={"interactive": False, "verbosity": 0}
    )
    collecting.start()
    try:
        yield
    finally:
        collecting.join()
    if collecting.exitcode:
        raise CommandError("The static files could not be collected; see above.")
