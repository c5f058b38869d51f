"""Backups of the database: one file, and a manifest beside it that a restore is held against.

The keys that open stored passwords (``MAIL_KEYS``) are not in it and belong elsewhere: whoever has both has
every mailbox. The manifest names the keys needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.postgresql.client import DatabaseClient
from django.utils import timezone
from django.utils.text import slugify

from jobs import heartbeats
from mailaccounts import rotation

HEARTBEAT = "backup"


class BackupFailed(Exception):
    """Why there is no backup, or none that can be used; in words for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup's manifest. ``rows``: counts by table at its moment; ``keys``: names of keys it needs."""

    file: str
    sha256: str
    made_at: str
    vendor: str
    rows: dict[str, int]
    keys: list[str]

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at)


def make(folder: Path) -> tuple[Backup, Path]:
    """Back up the database into ``folder``, readable by its owner only; return manifest and file.

    Safe while everything runs. Raises :class:`BackupFailed`; then no file is left behind.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = timezone.now()
    keys = sorted(rotation.kids_in_use())
    suffix = "sqlite3" if connection.vendor == "sqlite" else "dump"
    name = f"{slugify(settings.INSTANCE_NAME)}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.{suffix}"
    file = folder / name
    with _partial(file) as partial:
        rows = _copy_sqlite(partial) if connection.vendor == "sqlite" else _dump_postgresql(partial)
    backup = Backup(
        file=name,
        sha256=digest(file),
        made_at=now.isoformat(),
        vendor=connection.vendor,
        rows=rows,
        keys=keys,
    )
    with _partial(manifest_of(file)) as partial:
        partial.write_text(json.dumps(asdict(backup), indent=1), encoding="utf-8")
    heartbeats.beat(HEARTBEAT)
    return backup, file


def newest(folder: Path) -> Path:
    """The newest backup in ``folder``. Raises :class:`BackupFailed` where there is none."""
    found = _files(folder)
    if not found:
        raise BackupFailed(f"There is no backup in {folder}. Make one with: manage.py backup {folder}")
    return found[-1]


def remove_older(folder: Path, keep: int) -> list[Path]:
    """Remove all but the ``keep`` newest backups of this installation; return what was removed."""
    own = [file for file in _files(folder) if file.stem.rpartition("-")[0] == slugify(settings.INSTANCE_NAME)]
    gone = own[:-keep]
    for file in gone:
        manifest_of(file).unlink()
        file.unlink(missing_ok=True)
    return gone


def read(file: Path) -> Backup:
    """The manifest of ``file``, once the file is what it says. Raises :class:`BackupFailed`."""
    try:
        backup = Backup(**json.loads(manifest_of(file).read_text(encoding="utf-8")))
        actual = digest(file)
    except (OSError, ValueError, TypeError) as error:
        raise BackupFailed(f"{file} or its manifest cannot be read: {type(error).__name__}") from error
    if actual != backup.sha256:
        raise BackupFailed(f"{file} is damaged: its SHA-256 is not the one in its manifest")
    return backup


def manifest_of(file: Path) -> Path:
    """Where the manifest of ``file`` lies."""
    return file.with_name(f"{file.name}.json")


def digest(file: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def run_postgresql(*command: str, output: BinaryIO | None = None, database: dict[str, Any]) -> None:
    """Run ``pg_dump`` or ``pg_restore``; the password travels in the environment. Raises BackupFailed."""
    _arguments, secrets = DatabaseClient.settings_to_cmd_args_env(database, [])
    where = {
        name: str(database[key])
        for name, key in (("PGHOST", "HOST"), ("PGPORT", "PORT"), ("PGUSER", "USER"))
        if database.get(key)
    }
    try:
        done = subprocess.run(  # noqa: S603  # our own commands
            command,
            env={**os.environ, **where, **(secrets or {})},
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    except FileNotFoundError:
        remedy = "Install postgresql-client of the server's version"
        raise BackupFailed(f"{command[0]} is missing. {remedy}") from None
    if done.returncode:
        # The program's own lines; the server's below them (DETAIL, CONTEXT) quote rows, hence mail.
        words = [line for line in done.stderr.splitlines() if line.startswith(f"{command[0]}: ")]
        raise BackupFailed(f"{command[0]} failed: {' '.join(words) or done.returncode}")


def tables() -> list[str]:
    """Tables of all models that the database has, by name; an older one may lack some."""
    models = apps.get_models(include_auto_created=True)
    wanted = {model._meta.db_table for model in models}  # noqa: SLF001  # Django documents it as public
    return sorted(wanted & set(connection.introspection.table_names()))


def count_rows() -> dict[str, int]:
    """Rows of each table, as the present transaction sees them."""
    with connection.cursor() as cursor:
        counts = {}
        for table in tables():
            cursor.execute(_counting(table))
            counts[table] = int(cursor.fetchone()[0])
    return counts


def _counting(table: str) -> str:
    return f"SELECT count(*) FROM {connection.ops.quote_name(table)}"  # noqa: S608  # names from the models


def _dump_postgresql(target: Path) -> dict[str, int]:
    """Dump and count in one snapshot, so that the counts are those of the dump."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        [snapshot] = cursor.fetchone()
        rows = count_rows()
        database = connection.settings_dict
        with target.open("wb") as output:
            run_postgresql(
                "pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--dbname={database['NAME']}",
                output=output, database=database,
            )  # fmt: skip
    return rows


def _copy_sqlite(target: Path) -> dict[str, int]:
    """Copy page by page while others write, and count in the copy."""
    connection.ensure_connection()
    with contextlib.closing(sqlite3.connect(target)) as copy:
        connection.connection.backup(copy)
        # One file: the copy needs no log of its own beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
        return {table: copy.execute(_counting(table)).fetchone()[0] for table in tables()}


@contextlib.contextmanager
def _partial(file: Path) -> Iterator[Path]:
    """A new file for its owner only that becomes ``file`` when all went well, and vanishes otherwise."""
    partial = file.with_name(f"{file.name}.partial")
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """Backups with a manifest, oldest first."""
    described = [manifest.with_suffix("") for manifest in folder.glob("*.json")]
    found = [file for file in described if file.suffix in {".dump", ".sqlite3"}]
    return sorted(found, key=lambda file: file.stem.rpartition("-")[2])
