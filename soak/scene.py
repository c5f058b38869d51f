"""The account of one import scenario, its servers, and the workers that poll it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from inbound import polling
from jobs.models import Lease
from mailaccounts.models import AccountHealth, MailAccount
from soak.broker import check_and_work_off
from soak.mailbox import Mailbox
from soak.services import Services
from soak.worker import DATABASE_BROKE, Circumstances, Worker
from tests.server_proxy import CuttingProxy
from tickets.models import TicketOptions

_MAX_WORDS: Final = 3_000  # the end of a log
PLACES: Final = (
    "after_discovery", "before_fetch", "in_store", "after_store", "before_commit", "in_import",
    "in_commit", "after_commit",
)  # fmt: skip
"""Failpoints of an import, in order."""
PLACES_OF_DELETING: Final = ("before_delete", "after_delete")


@dataclass
class Scene:
    """An account under test and what was done to it; everything is chosen by ``chance``."""

    chance: Random
    services: Services
    account: MailAccount
    mailbox: Mailbox
    proxy: CuttingProxy
    circumstances: Circumstances
    faults: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def excludes_old(self) -> bool:
        """Whether mail of long ago stays out by a setting."""
        return TicketOptions.objects.get(account=self.account).from_date is not None

    def note(self, words: str) -> None:
        """Record what happens, for whoever runs this scenario again."""
        self.faults.append(words)

    def worker(self, **circumstances: Any) -> Worker:
        """A process that polls the account once; see :class:`Circumstances`."""
        pk = self.account.pk
        return Worker(
            lambda: polling.poll(pk, slice_seconds=None), replace(self.circumstances, **circumstances)
        )

    def stopped_worker(self, *, between_transactions: bool = False) -> Worker | None:
        """One that was stopped somewhere in its poll; None if it never came there.

        ``between_transactions``: where it holds no lock that others would wait for.
        """
        between_transactions |= connection.vendor == "sqlite"  # whose one lock we would wait for ourselves
        deletes = TicketOptions.objects.get(account=self.account).deletes_on_server
        places = [*PLACES, *PLACES_OF_DELETING * 3] if deletes else [*PLACES]
        place = self.chance.choice(
            [one for one in places if not (between_transactions and one.startswith("in_"))]
        )
        # Mail of a round is one batch in each folder.
        times = 1 if self.chance.random() < 0.7 else self.chance.randint(1, len(self.mailbox.folders))
        worker = self.worker(stops_at=place, times=times)
        if worker.has_stopped():
            self.note(f"stopped at {place}:{times}")
            return worker
        self.end(worker)
        self.note(f"never at {place}:{times}")
        return None

    def end(self, worker: Worker, *, may_lose_database: bool = False) -> None:
        """Wait for a worker's end, and record what went wrong in it."""
        words = worker.join()
        if worker.code == DATABASE_BROKE and not may_lose_database:
            words = "the database broke off"
        if words:
            self.findings.append(f"{words}:\n{self.circumstances.log.read_text()[-_MAX_WORDS:]}")

    def calm(self) -> None:
        """Take the fault away, and let time pass until leases have expired."""
        self.proxy.cut = None
        self.expire_lease()

    def expire_lease(self) -> None:
        """As time would."""
        Lease.objects.filter(name=self.account.lease_name, expires_at__isnull=False).update(
            expires_at=timezone.now() - timedelta(seconds=1)
        )

    def check(self) -> None:
        """One period of polling: beat's checks, and a worker that does what they woke."""
        AccountHealth.objects.filter(account=self.account).update(next_poll_at=timezone.now())
        self.end(Worker(check_and_work_off, self.circumstances))
        self.expire_lease()
