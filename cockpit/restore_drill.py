"""Restoring a backup into a database of its own, to know that it can be done, and what it would cost."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.utils import timezone

from archive.models import RawMail
from audit import chain
from cockpit import backups
from cockpit.backups import Backup, BackupFailed
from inbound.models import IncomingMessage
from jobs import heartbeats, instance
from mailaccounts import rotation
from outbound.models import OutgoingMessage

HEARTBEAT = "restore_drill"
_CHUNK = 20  # mails held in memory at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What the database has won since the backup: lost, or found anew on the servers, by restoring it."""

    age: timedelta
    mails: int
    mails_gone: int  # no longer on their servers: lost for good
    sends: int

    def __str__(self) -> str:
        mails = f"{self.mails} mails ({self.mails_gone} no longer on their servers)"
        return f"{mails}, {self.sends} sends, {self.age.total_seconds() / 3600:.1f} h"


@dataclass(slots=True, kw_only=True)
class DrillReport:
    """What a drill came to; ``problems`` in words, empty when the backup is good."""

    mails: int = 0
    missing: int = 0
    wrong_hashes: int = 0
    credentials: int = 0
    unreadable: int = 0
    seconds: float = 0.0
    migrations: bool = False
    loss: Loss | None = None
    problems: list[str] = field(default_factory=list)


def drill(file: Path) -> DrillReport:
    """Restore ``file`` into a scratch database, check all that can be checked, and drop it again.

    The database in use is only read. Raises :class:`BackupFailed` where the backup cannot be restored at all.
    """
    began = time.monotonic()
    backup = backups.read(file)
    if backup.vendor != connection.vendor:
        raise BackupFailed(f"The backup is of {backup.vendor}, DATABASE_URL names {connection.vendor}")
    report = DrillReport(loss=loss_since(backup))
    with _scratch_database(file):
        _check_rows(backup, report)
        report.migrations = _migrate()
        call_command("after_restore", stdout=StringIO())
        if instance.is_original():
            report.problems.append("the restored copy would poll and send at once")
        _check_mails(backup, report)
        _check_credentials(report)
        _check_audit(report)
    report.seconds = time.monotonic() - began
    if not report.problems:
        heartbeats.beat(HEARTBEAT)
    return report


def loss_since(backup: Backup) -> Loss | None:
    """What restoring the backup now would lose; None where the database in use cannot be asked."""
    since = RawMail.objects.filter(stored_at__gt=backup.moment)
    deleted = IncomingMessage.objects.filter(
        raw__stored_at__gt=backup.moment, server_copy=IncomingMessage.ServerCopy.DELETED
    )
    sent = OutgoingMessage.objects.filter(state=OutgoingMessage.State.SENT, finished_at__gt=backup.moment)
    try:
        return Loss(
            age=timezone.now() - backup.moment,
            mails=since.count(),
            mails_gone=deleted.values("raw").distinct().count(),
            sends=sent.count(),
        )
    except DatabaseError:
        return None


def _check_rows(backup: Backup, report: DrillReport) -> None:
    found = backups.count_rows()
    for table, count in backup.rows.items():
        if found.get(table) != count:
            report.problems.append(f"{table}: {found.get(table)} rows instead of {count}")


def _migrate() -> bool:
    """Bring an older backup up to date, as a real restore would; return whether that was needed."""
    with contextlib.redirect_stdout(StringIO()):
        try:
            call_command("migrate", check_unapplied=True, verbosity=0)
        except SystemExit:
            call_command("migrate", interactive=False, verbosity=0)
            return True
    return False


def _check_mails(backup: Backup, report: DrillReport) -> None:
    report.mails = RawMail.objects.count()
    report.missing = max(backup.rows[RawMail._meta.db_table] - report.mails, 0)  # noqa: SLF001  # Django documents it as public
    report.wrong_hashes = sum(not mail.verifies() for mail in RawMail.objects.iterator(chunk_size=_CHUNK))
    if report.missing or report.wrong_hashes:
        report.problems.append(f"{report.missing} mails missing, {report.wrong_hashes} with wrong hashes")


def _check_credentials(report: DrillReport) -> None:
    tally = rotation.verify()
    report.credentials, report.unreadable = tally.current, len(tally.unreadable)
    report.problems += tally.unreadable


def _check_audit(report: DrillReport) -> None:
    try:
        chain.verify()
    except chain.ChainBroken as broken:
        report.problems.append(f"audit chain: {broken}")


@contextlib.contextmanager
def _scratch_database(file: Path) -> Iterator[None]:
    """The backup as the default database while it lasts, under a name that no other database has."""
    restore = _restored_sqlite if connection.vendor == "sqlite" else _restored_postgresql
    with restore(file) as name, _default_database(name):
        yield


@contextlib.contextmanager
def _restored_sqlite(file: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="restore-drill-") as folder:
        yield str(shutil.copy(str(file), Path(folder) / "scratch.sqlite3"))


@contextlib.contextmanager
def _restored_postgresql(file: Path) -> Iterator[str]:
    name = f"restore_drill_{secrets.token_hex(6)}"
    _run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    try:
        backups.run_postgresql(
            "pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={name}", str(file),
            database=connection.settings_dict,
        )  # fmt: skip
        yield name
    finally:
        _run(f"DROP DATABASE {name} WITH (FORCE)")


def _run(statement: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except DatabaseError as error:
        hint = "The database's user needs the right to create databases: ALTER ROLE … CREATEDB"
        raise BackupFailed(f"{str(error).strip()}. {hint}") from error


@contextlib.contextmanager
def _default_database(name: str) -> Iterator[None]:
    """Let everything that asks the default database ask the one called ``name``."""
    used = settings.DATABASES["default"]
    before = used["NAME"], connection.settings_dict["NAME"]
    connection.close()
    used["NAME"] = connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        used["NAME"], connection.settings_dict["NAME"] = before
