"""``manage.py restore_drill``: restore the newest backup beside the database in use, and check it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cockpit import backups, restore_drill


class Command(BaseCommand):
    """Prove that a backup can be restored; exit status 1 when it cannot, or not whole."""

    help = "Restores a backup (a file, or the newest in a folder) into a scratch database and checks it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("backup", type=Path, metavar="FILE-OR-FOLDER")

    def handle(self, *_args: Any, backup: Path, **_options: Any) -> None:
        try:
            file = backups.newest(backup) if backup.is_dir() else backup
            report = restore_drill.drill(file)
        except backups.BackupFailed as error:
            raise CommandError(str(error)) from error
        for problem in report.problems:
            self.stderr.write(problem)
        migrated = ", migrated" if report.migrations else ""
        state = f"ok ({report.credentials})" if not report.unreadable else f"{report.unreadable} unreadable"
        self.stdout.write(
            f"restored {report.mails} mails, missing {report.missing}, wrong hashes {report.wrong_hashes}, "
            f"credentials {state}, {report.seconds / 60:.1f} min{migrated}; "
            f"loss since backup: {report.loss or 'unknown, the database in use does not answer'}"
        )
        if report.problems:
            raise CommandError(f"{file} is not good: {len(report.problems)} problems, see above")
