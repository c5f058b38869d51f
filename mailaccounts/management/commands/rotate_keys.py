"""Bring stored secrets under the newest key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailaccounts import credentials
from mailaccounts.rotation import kids_in_use, rotate


class Command(BaseCommand):
    """Re-encrypt all passwords under the first key; safe while everything runs, and to repeat."""

    help = (
        "Re-encrypts all stored passwords under the first key of MAIL_KEYS. Then older keys can be removed."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            tally = rotate()
        except credentials.CredentialUnreadable as error:
            raise CommandError(error.detail) from None
        self.stdout.write(
            f"rotated {tally.rotated}, current already {tally.current}, changed meanwhile "
            f"{tally.changed_meanwhile}, "
            f"unreadable {len(tally.unreadable)}"
        )
        self._name_removable_keys()
        if tally.unreadable:
            raise CommandError("\n".join(tally.unreadable))

    def _name_removable_keys(self) -> None:
        known = credentials.known_kids()
        unused = [kid for kid in known[1:] if kid not in kids_in_use()]
        if unused:
            self.stdout.write(f"no longer needed in MAIL_KEYS: {', '.join(unused)}")
