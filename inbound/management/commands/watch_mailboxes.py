"""``manage.py watch_mailboxes``: the process that waits for mail, beside the workers."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from inbound.tasks import wake_poll
from inbound.watching import Watcher


class Command(BaseCommand):
    """Watch all mailboxes until Ctrl-C or SIGTERM."""

    help = "Waits by IDLE for mail in every polled account and wakes a poll at once, beside regular polling."

    def handle(self, **_options: Any) -> None:
        if settings.CELERY_BROKER_URL.startswith("memory"):
            raise CommandError(
                "Without a broker no other process can be woken. 'manage.py serve' watches by itself; for a "
                "process of its own set CELERY_BROKER_URL."
            )
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            self.stdout.write("Watching mailboxes – Ctrl-C ends it.")
            self.stdout.flush()
            Watcher(wake_poll).run()
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
