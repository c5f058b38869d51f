"""Whether everything that must run does: the answer of ``/healthz``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Max
from django.utils import timezone
from kombu.exceptions import OperationalError

from inbound.selectors import ledger_totals
from inbound.watching import HEARTBEAT as WATCHER_HEARTBEAT
from jobs import heartbeats, instance
from mailaccounts.models import AccountHealth, MailAccount
from outbound.models import OutgoingMessage

# Beat wakes the worker every 10 s; three missed beats are no coincidence.
HEARTBEAT_LIMIT = timedelta(seconds=45)
BROKER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Report:
    """What ``/healthz`` says; ages in seconds, None where there is nothing to measure yet."""

    database: str
    broker: str
    worker: str
    worker_heartbeat_age: float | None
    watcher_heartbeat_age: float | None
    last_poll_age: float | None
    is_original: bool
    queues: dict[str, int]
    ledger: dict[str, int]

    @property
    def is_well(self) -> bool:
        """Whether database, broker and worker are up."""
        return {self.database, self.broker, self.worker} == {"ok"}

    def as_json(self) -> dict[str, object]:
        """The report with its verdict."""
        return {"status": "ok" if self.is_well else "down", **asdict(self)}


def report() -> Report:
    """Ask database, broker, worker and ledger."""
    if not database_answers():
        return Report(
            database="down",
            broker=broker_state(),
            worker="unknown",
            worker_heartbeat_age=None,
            watcher_heartbeat_age=None,
            last_poll_age=None,
            is_original=False,
            queues={},
            ledger={},
        )
    ages = heartbeats.ages()
    age = ages.get("worker")
    return Report(
        database="ok",
        broker=broker_state(),
        worker="ok" if age is not None and age < HEARTBEAT_LIMIT else "down",
        worker_heartbeat_age=seconds(age),
        watcher_heartbeat_age=seconds(ages.get(WATCHER_HEARTBEAT)),
        last_poll_age=seconds(since(AccountHealth.objects.aggregate(at=Max("last_attempt_at"))["at"])),
        is_original=instance.is_original(),
        queues=queue_lengths(),
        ledger=ledger_totals(),
    )


def database_answers() -> bool:
    """Whether the database runs a statement."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def broker_state() -> str:
    """``ok`` or ``down``; the in-memory broker lives and dies with the process that answers."""
    if settings.CELERY_BROKER_URL.startswith("memory"):
        return "ok"
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_SECONDS) as link:
            link.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
    except (OperationalError, OSError):
        return "down"
    return "ok"


def queue_lengths() -> dict[str, int]:
    """Work that waits: accounts due for a poll, mails to deliver, copies to file."""
    return {
        "accounts_due": MailAccount.objects.active()
        .filter(health__next_poll_at__lt=timezone.now(), health__is_paused=False)
        .count(),
        "to_deliver": OutgoingMessage.objects.unfinished().count(),
        "to_copy": OutgoingMessage.objects.filter(copy_state=OutgoingMessage.CopyState.PENDING).count(),
    }


def since(moment: datetime | None) -> timedelta | None:
    """Time passed since ``moment``."""
    return timezone.now() - moment if moment else None


def seconds(age: timedelta | None) -> float | None:
    """An age as JSON has it."""
    return round(age.total_seconds(), 1) if age is not None else None
