"""``manage.py backup``: a consistent copy of the database, while everything runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.models import RawMail
from cockpit import backups


class Command(BaseCommand):
    """Back up the database into a folder; prints what it holds and which keys it needs."""

    help = "Backs up the database into FOLDER, for its owner's eyes only. MAIL_KEYS are not in it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--keep", type=int, metavar="N", help="remove all but the N newest backups there")

    def handle(self, *_args: Any, folder: Path, keep: int | None, **_options: Any) -> None:
        if keep is not None and keep < 1:
            raise CommandError("--keep takes a number from 1 on")
        began = time.monotonic()
        try:
            backup, file = backups.make(folder)
        except backups.BackupFailed as error:
            raise CommandError(str(error)) from error
        removed = backups.remove_older(folder, keep) if keep else []
        keys = ", ".join(backup.keys) or "none"
        mails = backup.rows[RawMail._meta.db_table]  # noqa: SLF001  # Django documents it as public
        self.stdout.write(
            f"backup {file}: {mails} mails, {file.stat().st_size / 1e6:.1f} MB, "
            f"{time.monotonic() - began:.1f} s, {len(removed)} older ones removed; "
            f"needs of MAIL_KEYS, which are kept elsewhere: {keys}"
        )
