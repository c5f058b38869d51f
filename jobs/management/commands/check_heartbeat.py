"""``manage.py check_heartbeat watcher``: the health check of a process that serves no port."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs import heartbeats


class Command(BaseCommand):
    """Exit with 1 unless the process gave a sign of life lately."""

    help = "Fails unless the named process (worker, watcher) gave a sign of life within --seconds."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--seconds", type=int, default=120)

    def handle(self, *_args: Any, name: str, seconds: int, **_options: Any) -> None:
        age = heartbeats.age(name)
        if age is None:
            raise CommandError(f"{name} has given no sign of life yet.")
        if age > timedelta(seconds=seconds):
            raise CommandError(f"The last sign of life of {name} is {age.total_seconds():.0f} seconds old.")
        self.stdout.write(f"{name} lives.")
