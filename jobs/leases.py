"""Leases with fencing: one holder at a time, and a holder that overslept is refused at commit (R9, R10).

Every statement is one conditional UPDATE with the database's clock, so it works alike on PostgreSQL and
SQLite and needs no lock of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import connection
from django.db.models import DateTimeField, ExpressionWrapper, F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from jobs.models import Lease

SLOWEST_BYTES_PER_SECOND = 32_768
"""A line slower than that is given up by mailkit, too."""
_SHORT_TRANSFER = timedelta(seconds=20)


class LeaseLost(Exception):
    """The lease expired and was taken, or was revoked because settings changed. Commit nothing more."""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """Proof of holding ``name`` at ``epoch``; pass it to :func:`renew` first in every transaction."""

    name: str
    epoch: int
    ttl: timedelta


def acquire(name: str, *, ttl: timedelta, holder: str = "") -> HeldLease | None:
    """Take the lease, or return None while somebody else holds it. ``ttl`` is how long it lasts unrenewed."""
    Lease.objects.bulk_create([Lease(name=name)], ignore_conflicts=True)
    free = Q(expires_at__isnull=True) | Q(expires_at__lt=Now())
    epoch = Lease.objects.values_list("epoch", flat=True).get(pk=name)
    taken = Lease.objects.filter(free, name=name, epoch=epoch).update(
        epoch=epoch + 1, holder=holder, expires_at=_from_now(ttl)
    )
    return HeldLease(name, epoch + 1, ttl) if taken else None


def renew(lease: HeldLease) -> None:
    """Prolong the lease; the first statement of every transaction of its holder.

    The row stays locked until that transaction ends, so a revocation or a rival waits for the commit instead
    of slipping in before it. Raises :class:`LeaseLost` when the epoch has moved on.
    """
    if not Lease.objects.filter(name=lease.name, epoch=lease.epoch).update(expires_at=_from_now(lease.ttl)):
        raise LeaseLost(lease.name)


def renew_for_transfer(lease: HeldLease, size: int) -> None:
    """Prolong the lease for a transfer of ``size`` bytes over a slow line, on top of its usual time.

    Without it a large mail would outlast the lease, be thrown away at its end for a rival, and begin anew for
    ever. What is small fits the usual time and costs no statement. The next :func:`renew` shortens the lease
    again. Raises :class:`LeaseLost`.
    """
    longest = timedelta(seconds=size / SLOWEST_BYTES_PER_SECOND)
    if longest > _SHORT_TRANSFER:
        renew(replace(lease, ttl=lease.ttl + longest))


def release(lease: HeldLease) -> None:
    """Give the lease back; without effect when it is no longer held."""
    Lease.objects.filter(name=lease.name, epoch=lease.epoch).update(expires_at=None, holder="")


def revoke(names: Iterable[str]) -> None:
    """Fence off whoever holds these leases: their next :func:`renew` fails (R39)."""
    Lease.objects.filter(name__in=list(names)).update(epoch=F("epoch") + 1, expires_at=None, holder="")


def _from_now(ttl: timedelta) -> Combinable:
    if connection.vendor == "sqlite":
        return ExpressionWrapper(Now() + ttl, output_field=DateTimeField())
    return Now() + ttl
