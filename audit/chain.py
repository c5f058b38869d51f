"""The chain over the audit record: each seal hashes its entry together with the seal before (W12).

One task seals, not the transaction that records, so that recording never waits. Whoever changes, removes or
inserts an entry afterwards breaks the chain; whoever makes the whole chain anew, or cuts off its end, loses
the heads that were written to the log.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable
from datetime import UTC
from itertools import zip_longest

from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from audit.models import AuditEntry, AuditSeal

log = logging.getLogger("audit.chain")

BATCH = 1000
"""Entries that one transaction seals."""
WRITERS_SECONDS = 10.0
"""How long sealing waits for transactions that are recording right now; the next round tries again."""
_START = "0" * 64
# The link to the user's row is left out: it is cleared when that row goes, the name stays.
_SEALED_FIELDS = (
    "id", "actor_label", "ip", "action", "object_type", "object_id", "object_label", "changes", "reason",
)  # fmt: skip


class ChainBroken(Exception):
    """The record is not what was sealed; the message names the first entry concerned."""


def digest(previous: str, entry: AuditEntry) -> str:
    """SHA-256, in hex, over the digest before and the entry's canonical JSON (sorted keys, no spaces)."""
    values = {name: getattr(entry, name) for name in _SEALED_FIELDS}
    values["at"] = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}{text}".encode()).hexdigest()


def head() -> AuditSeal | None:
    """The last seal, None before the first."""
    return AuditSeal.objects.order_by("entry_id").last()


def seal() -> int:
    """Seal what has been recorded since the last time, in the order of ids; return how many entries."""
    settled, sealed = _settled_id(), 0
    while count := _seal_batch(settled):
        sealed += count
    return sealed


def verify(known_heads: Iterable[str] = ()) -> int:
    """Recompute the chain and return how many entries it holds.

    ``known_heads`` are heads from the log (``entry:digest``) that it must pass through. Raises
    :class:`ChainBroken` at the first entry that was changed, removed or inserted, or for a head that is gone.
    """
    last, checked, previous = head(), 0, _START
    missing = set(known_heads)
    until = last.entry_id if last else 0
    entries = AuditEntry.objects.filter(id__lte=until).order_by("id").iterator(BATCH)
    seals = AuditSeal.objects.filter(entry_id__lte=until).order_by("entry_id").iterator(BATCH)
    for entry, link in zip_longest(entries, seals):
        if link is None or (entry is not None and entry.pk < link.entry_id):
            raise ChainBroken(f"entry {entry.pk} has no seal: it was inserted later, or its seal was removed")
        if entry is None or entry.pk > link.entry_id:
            raise ChainBroken(f"entry {link.entry_id} was removed")
        previous = digest(previous, entry)
        if previous != link.digest:
            raise ChainBroken(f"entry {entry.pk} does not match its seal")
        missing.discard(str(link))
        checked += 1
    if missing:
        raise ChainBroken(f"head {min(missing)} is gone: the end was cut off, or the chain made anew")
    return checked


def unsealed() -> int:
    """How many entries wait for the next round."""
    last = head()
    return AuditEntry.objects.filter(id__gt=last.entry_id if last else 0).count()


def _seal_batch(until: int) -> int:
    """Seal up to :data:`BATCH` entries after the head. Of two at one head, the primary key lets one win."""
    last = head()
    previous, after = (last.digest, last.entry_id) if last else (_START, 0)
    seals: list[AuditSeal] = []
    for entry in AuditEntry.objects.filter(id__gt=after, id__lte=until).order_by("id")[:BATCH]:
        previous = digest(previous, entry)
        seals.append(AuditSeal(entry_id=entry.pk, digest=previous))
    try:
        with transaction.atomic():
            AuditSeal.objects.bulk_create(seals)
    except IntegrityError:
        log.info("Another process seals the audit record")
        return 0
    return len(seals)


def _settled_id() -> int:
    """The newest id below which no entry can turn up any more; 0 when that cannot be said now.

    An id is given out before its entry is committed, so a smaller one may still be on its way: those
    transactions are waited for, as ``CREATE INDEX CONCURRENTLY`` does. SQLite has one writer at a time.
    """
    newest: int = AuditEntry.objects.aggregate(newest=Max("id"))["newest"] or 0
    writers = _writers()
    deadline = time.monotonic() + WRITERS_SECONDS
    while writers:
        if time.monotonic() > deadline:
            log.warning("The audit record is not sealed: a transaction that records has run for long")
            return 0
        time.sleep(0.05)
        writers &= _writers()
    return newest


def _writers() -> set[str]:
    """Other transactions that have written entries and are still open."""
    if connection.vendor != "postgresql":
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT virtualtransaction FROM pg_locks"
            " WHERE relation = to_regclass(%s) AND mode = 'RowExclusiveLock' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND pid IS DISTINCT FROM pg_backend_pid()",
            [AuditEntry._meta.db_table],  # noqa: SLF001  # Django documents it as public
        )
        return {row[0] for row in cursor.fetchall()}
