"""The contestants of the import benchmark: mbsync, and our import on either database, over one mailbox."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.servers import Dovecot, MailUser

_MBSYNC = """
FSync yes
IMAPAccount bench
Host 127.0.0.1
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account bench

MaildirStore near
Path {folder}/
Inbox {folder}/Inbox

Channel bench
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull
SyncState *
"""
_SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "ENV_FILE": "/nonexistent",
    "SECRET_KEY": "only-for-benchmarks-" + "0123456789abcdef" * 3,
    "HTTPS": "false",
    "CELERY_BROKER_URL": "memory://",
    "MAIL_KEYS": "bench:" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "MAIL_ALLOWED_NETWORKS": "loopback",
    "MAIL_PLAINTEXT_NETWORKS": "127.0.0.0/8,::1/128",
    "MAIL_ALLOWED_PORTS": "any",
    "MAIL_CA_FILE": "",
    "INSTANCE_NAME": "bench",
    "LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Source:
    """The mailbox everybody copies, and what is in it."""

    server: Dovecot
    user: MailUser
    count: int
    manifest: Path


class Mbsync:
    """Debian's isync with its defaults, fsync among them, copying into a new Maildir each time."""

    name = "mbsync"

    def __init__(self, source: Source, folder: Path) -> None:
        self._source, self._folder, self._numbers = source, folder, itertools.count(1)

    def run(self) -> dict[str, Any]:
        """Copy the mailbox; mails a second. A process of a few milliseconds to start, so it counts whole."""
        folder = self._folder / f"copy{next(self._numbers)}"
        folder.mkdir(parents=True)
        source = self._source
        config = folder / "mbsyncrc"
        config.write_text(
            _MBSYNC.format(
                port=source.server.port,
                user=source.user.username,
                password=source.user.password,
                folder=folder,
            )
        )
        os.sync()
        started = time.monotonic()
        _run(["mbsync", "-q", "-c", str(config), "bench"])
        seconds = time.monotonic() - started
        copied = sum(1 for sub in ("new", "cur") for _ in (folder / "Inbox" / sub).iterdir())
        shutil.rmtree(folder)
        return {"rate": source.count / seconds, "wrong": abs(copied - source.count)}


class Import:
    """Our import in a fresh process, into a fresh copy of a prepared database."""

    def __init__(self, name: str, source: Source, database_url: str) -> None:
        self.name, self._source, self._url, self._numbers = name, source, database_url, itertools.count(1)
        user = source.user
        account = ["--username", user.username, "--password", user.password]
        if urlsplit(database_url).scheme != "sqlite":
            _administer(database_url, f"CREATE DATABASE {urlsplit(database_url).path[1:]}")
        _step(self._url, "prepare", "--port", str(source.server.port), *account)

    def run(self) -> dict[str, Any]:
        """Import the mailbox and check every mail against the manifest; mails a second, memory in bytes."""
        url = _copy(self._url, next(self._numbers))
        os.sync()
        result = _step(url, "poll")
        result |= _step(url, "check", "--manifest", str(self._source.manifest))
        _drop(url)
        return {**result, "rate": self._source.count / result["seconds"]}


def _step(url: str, step: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.importer", step, *arguments]
    output = _run(command, {**os.environ, **_SETTINGS, "DATABASE_URL": url})
    answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    return answer


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _copy(url: str, number: int) -> str:
    """A copy of the prepared database, everything before it written to disk."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        shutil.copy(parts.path, f"{parts.path}{number}")
    else:
        _administer(url, f"CREATE DATABASE {parts.path[1:]}{number} TEMPLATE {parts.path[1:]}", "CHECKPOINT")
    return f"{url}{number}"


def _drop(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        for file in Path(parts.path).parent.glob(Path(parts.path).name + "*"):
            file.unlink()
    else:
        _administer(url, f"DROP DATABASE {parts.path[1:]}", "CHECKPOINT")


def _administer(url: str, *statements: str) -> None:
    with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
