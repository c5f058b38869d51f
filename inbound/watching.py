"""Push: servers that offer IDLE (RFC 2177) tell of mail by themselves, and a poll is woken at once.

Polling beside it goes on as if there were none, and stays the only writer: nothing but a heartbeat is written
in here, and news that is missed costs time, never mail. One thread waits for each account and uses no
database; the list of accounts is read by the one thread of :meth:`Watcher.run`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import Error, close_old_connections, connections

from inbound.polling import DEFAULT_FOLDER
from jobs import heartbeats, instance
from mailaccounts.connections import ImapAccess, imap_access
from mailaccounts.models import MailAccount
from mailaccounts.selectors import polled_accounts
from mailkit.errors import AuthenticationFailed, MailError
from mailkit.idle import LONGEST_IDLE_SECONDS
from mailkit.imap import ImapSession
from mailkit.imap_errors import is_temporary

logger = logging.getLogger(__name__)

ACCOUNTS = 800
"""Accounts watched by one process; further ones stay on polling. Each takes a thread, about 110 kB and a file
descriptor, of which a process usually has 1,024 (docs/operations.md).
"""

HEARTBEAT = "watcher"
LOOK_SECONDS = 30.0
STOP_SECONDS = 1.5
FIRST_BACKOFF_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 300.0
# A connection that held for so long was a good one: the next failure is a first one.
GOOD_SECONDS = 60.0
# A storm of news, honest or not, wakes an account's poll no more often.
PACE_SECONDS = 0.5
# News during a poll finds its lease taken. By then a short poll has ended, and any other, its slice being
# shorter.
AGAIN_SECONDS = (2.0, 30.0)

OnNews = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Target:
    """What is watched; unequal once the settings have changed."""

    account_id: int
    folder: str
    access: ImapAccess
    password_changed_at: datetime | None


class Bell:
    """When news is passed on: at once, at a bounded pace, and again for news that met a poll."""

    def __init__(self) -> None:
        self._not_before = 0.0
        self._times: list[float] = []

    def press(self, now: float) -> None:
        """There is news; ``now`` and all times here are seconds of the monotonic clock."""
        self._times = [max(now, self._not_before), *(now + seconds for seconds in AGAIN_SECONDS)]

    def due_at(self) -> float:
        """When to ring next; infinity while there is nothing to tell."""
        return min(self._times, default=float("inf"))

    def rings(self, now: float) -> bool:
        """Whether to ring now; asked once, it has rung."""
        if self.due_at() > now:
            return False
        self._times = [at for at in self._times if at > now]
        self._not_before = now + PACE_SECONDS
        return True


class AccountWatch:
    """One account's thread: connects, waits, rings, connects again.

    It rests, until the settings change, where the server does not offer IDLE or refuses the login: the poll
    counts its own attempts, and providers lock accounts that go on trying.
    """

    def __init__(self, target: Target, on_news: OnNews) -> None:
        self.target = target
        self.rests = False
        self._on_news = on_news
        self._bell = Bell()
        self._stopped = threading.Event()
        self._session: ImapSession | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{target.account_id}", daemon=True)

    def start(self) -> None:
        """Begin to watch, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Break the connection; returns at once."""
        self._stopped.set()
        session = self._session
        if session:
            session.interrupt()

    def join(self, seconds: float) -> None:
        """Wait for the thread; one that is still connecting ends by itself, later, and tells nobody."""
        self._thread.join(max(seconds, 0.0))

    @property
    def needs_restart(self) -> bool:
        """Whether the thread broke off for a reason nobody thought of."""
        return not self._thread.is_alive() and not self.rests

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set() and not self.rests:
            began = time.monotonic()
            try:
                self._watch()
            except MailError as error:
                failures = 1 if time.monotonic() - began > GOOD_SECONDS else failures + 1
                self._note(error)
                self._stopped.wait(backoff_seconds(failures))

    def _note(self, error: MailError) -> None:
        if self._stopped.is_set():
            return
        self.rests = isinstance(error, AuthenticationFailed) and not is_temporary(error)
        outlook = "left to polling" if self.rests else "will connect again"
        logger.info("Watch of account %s: %s, %s", self.target.account_id, error.code, outlook)
        if self.rests:
            self._stopped.set()

    def _watch(self) -> None:
        with self.target.access.open() as session:
            self._session = session
            if "IDLE" not in session.capabilities():
                logger.info("Watch of account %s: no IDLE, left to polling", self.target.account_id)
                self.rests = True
                return
            session.examine(self.target.folder)
            logger.info("Watch of account %s: connected", self.target.account_id)
            # What came since the last poll is told by nobody.
            self._bell.press(time.monotonic())
            while not self._stopped.is_set():
                self._idle_once(session)

    def _idle_once(self, session: ImapSession) -> None:
        session.start_idle()
        ends_at = time.monotonic() + idle_seconds()
        while not self._stopped.is_set() and (now := time.monotonic()) < ends_at:
            if self._bell.rings(now):
                self._on_news(self.target.account_id)
            elif session.wait_for_news(min(ends_at, self._bell.due_at()) - now):
                self._bell.press(time.monotonic())
        session.end_idle()


class Watcher:
    """Keeps an :class:`AccountWatch` for every polled account; ``on_news`` is called in its thread."""

    def __init__(self, on_news: OnNews) -> None:
        self._on_news = on_news
        self._stopped = threading.Event()
        self._watches: dict[int, AccountWatch] = {}
        self._left_out = 0

    def run(self) -> None:
        """Watch until :meth:`stop`; then close all connections and return, within two seconds."""
        try:
            while not self._stopped.is_set():
                self._look()
                self._stopped.wait(LOOK_SECONDS)
        finally:
            self._end(list(self._watches.values()))
            connections.close_all()

    def stop(self) -> None:
        """Let :meth:`run` end; returns at once."""
        self._stopped.set()

    def _look(self) -> None:
        """Compare what is watched with what should be. A database that is away changes nothing."""
        close_old_connections()
        try:
            heartbeats.beat(HEARTBEAT)
            wanted = self._targets()
        except Error as error:
            logger.warning("Watch: accounts not readable (%s)", type(error).__name__)
            return
        stale = [watch for watch in self._watches.values() if _is_stale(watch, wanted)]
        for watch in stale:
            watch.stop()
            del self._watches[watch.target.account_id]
        for account_id in wanted.keys() - self._watches.keys():
            self._watches[account_id] = AccountWatch(wanted[account_id], self._on_news)
            self._watches[account_id].start()

    def _targets(self) -> dict[int, Target]:
        if not instance.is_original():
            return {}
        polled = polled_accounts().exclude(health__is_paused=True)
        accounts = list(polled.select_related("imap").order_by("pk"))
        self._tell_left_out(len(accounts) - ACCOUNTS)
        targets = (_target(account) for account in accounts[:ACCOUNTS])
        return {target.account_id: target for target in targets if target}

    def _tell_left_out(self, count: int) -> None:
        if count > 0 and count != self._left_out:
            logger.warning("Watch: %s accounts beyond the first %s are left to polling", count, ACCOUNTS)
        self._left_out = count

    def _end(self, watches: list[AccountWatch]) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        for watch in watches:
            watch.stop()
        for watch in watches:
            watch.join(deadline - time.monotonic())
        self._watches.clear()


def idle_seconds() -> float:
    """How long one IDLE lasts before it is renewed: the setting, within what RFC 2177 advises."""
    return min(float(settings.MAIL_IDLE_SECONDS), LONGEST_IDLE_SECONDS)


def backoff_seconds(failures: int) -> float:
    """Delay after so many ``failures`` in a row: 5 s doubled up to 5 min, less a random half."""
    doubled: float = min(FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, 10), LONGEST_BACKOFF_SECONDS)
    return doubled * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing


def _is_stale(watch: AccountWatch, wanted: Mapping[int, Target]) -> bool:
    return wanted.get(watch.target.account_id) != watch.target or watch.needs_restart


def _target(account: MailAccount) -> Target | None:
    """None where the settings are incomplete; the poll says what is missing."""
    imap = account.imap
    try:
        access = imap_access(account)
    except MailError:
        return None
    return Target(account.pk, (imap.folders or [DEFAULT_FOLDER])[0], access, imap.password_changed_at)
