"""The contestants of the import benchmark: mbsync, and our import into either database."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from bench import databases
from bench.corpus import Source
from bench.processes import Step, run, step

MODULE = "bench.importer"

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


class Contestant(Protocol):
    """Whoever takes a turn. ``run`` tells at least ``rate`` (mails a second) and how many were ``wrong``."""

    name: str

    def run(self) -> dict[str, Any]:
        """Take a turn."""
        ...


class Mbsync:
    """Debian's isync with its defaults, fsync among them, copying into a new Maildir each time."""

    name = "mbsync"

    def __init__(self, source: Source, folder: Path) -> None:
        self._source, self._folder, self._numbers = source, folder, itertools.count(1)

    def run(self) -> dict[str, Any]:
        """Copy the mailbox. A process of a few milliseconds to start, so it counts whole."""
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
        run(["mbsync", "-q", "-c", str(config), "bench"])
        seconds = time.monotonic() - started
        copied = sum(1 for sub in ("new", "cur") for _ in (folder / "Inbox" / sub).iterdir())
        shutil.rmtree(folder)
        return {"rate": source.count / seconds, "wrong": abs(copied - source.count)}


class Import:
    """Our import, a fresh process for each mailbox, all into one fresh copy of a prepared database."""

    def __init__(self, name: str, sources: Sequence[Source], database_url: str) -> None:
        self.name, self._sources, self._url = name, sources, database_url
        self._numbers = itertools.count(1)
        databases.create(database_url)
        server = sources[0].server
        users = [source.user.username for source in sources]
        step(
            MODULE, "prepare", "--port", str(server.port), *users,
            DATABASE_URL=database_url, BENCH_PASSWORD=server.password,
        )  # fmt: skip

    def run(self) -> dict[str, Any]:
        """Import the mailboxes at once and check every mail against its manifest; see :meth:`import_only`."""
        turn = self.import_only()
        checked = [
            step(
                MODULE, "check", source.user.username, "--manifest", str(source.manifest),
                DATABASE_URL=self._copy,
            )
            for source in self._sources
        ]  # fmt: skip
        databases.drop(self._copy)
        turn["wrong"] = sum(one["wrong"] for one in checked)
        turn["examples"] = [number for one in checked for number in one["examples"]]
        return turn

    def import_only(self) -> dict[str, Any]:
        """Import into a fresh copy of the database, which is kept.

        ``seconds`` is the slowest process's time, ``peak`` the largest one's bytes, ``cpu`` all processes'
        seconds.
        """
        self._copy = databases.copy(self._url, next(self._numbers))
        os.sync()
        users = [source.user.username for source in self._sources]
        polls = [Step(MODULE, "poll", user, DATABASE_URL=self._copy) for user in users]
        for poll in polls:
            poll.wait_until_ready()
        for poll in polls:
            poll.begin()
        polled = [poll.answer() for poll in polls]
        seconds = max(one["seconds"] for one in polled)
        return {
            "rate": sum(source.count for source in self._sources) / seconds,
            "seconds": seconds,
            "peak": max(one["peak"] for one in polled),
            "cpu": sum(one["cpu"] for one in polled),
            "imported": sum(one["imported"] for one in polled),
        }
