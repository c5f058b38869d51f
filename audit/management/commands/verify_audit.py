"""Tell whether the audit record is what was recorded."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import chain


class Command(BaseCommand):
    """Recompute the chain over the audit record; fails naming the first entry that does not fit."""

    help = "Checks the hash chain over the audit record. Heads from the log prove that its end is there, too."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("heads", nargs="*", metavar="entry:digest", help="heads noted from the log")

    def handle(self, *_args: Any, heads: list[str], **_options: Any) -> None:
        try:
            checked = chain.verify(heads)
        except chain.ChainBroken as broken:
            raise CommandError(str(broken)) from None
        self.stdout.write(f"checked {checked} unsealed {chain.unsealed()} chain ok")
