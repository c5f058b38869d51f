"""Make a key for MAIL_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from mailaccounts.credentials import InvalidKey, new_key


class Command(BaseCommand):
    """Print a new ``kid:key`` entry for MAIL_KEYS; older ones stay until rotate_keys has run."""

    help = "Prints a new kid:key entry for MAIL_KEYS. Put it first, keep the old ones, then run rotate_keys."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--kid", default="", help="name of the key; default: today's date, such as k20261124"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        kid = options["kid"] or f"k{timezone.localdate():%Y%m%d}"
        try:
            self.stdout.write(new_key(kid))
        except InvalidKey as error:
            raise CommandError(str(error)) from None
