"""Background work that spans the rooms."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from cockpit.alerts.conditions import findings
from cockpit.alerts.mailing import mail_due
from cockpit.alerts.tracking import track
from jobs import heartbeats, instance, leases
from jobs.leases import LeaseLost

LEASE = "alerts"
LEASE_TTL = timedelta(seconds=90)
HEARTBEAT = "alerts"


@shared_task(name="cockpit.send_alerts")
def send_alerts() -> None:
    """Look for trouble, keep the alerts, and mail what opened and what is over: sent by beat each minute.

    An unconfirmed copy alerts nobody (product §12). One worker at a time; a second one finds the lease taken.
    """
    if not instance.is_original():
        return
    lease = leases.acquire(LEASE, ttl=LEASE_TTL)
    if lease is None:
        return
    now = timezone.now()
    try:
        found = findings(now)
        with transaction.atomic():
            leases.renew(lease)
            track(found, now=now)
        mail_due(lease, now=now)
        heartbeats.beat(HEARTBEAT)
    except LeaseLost:
        return
    finally:
        leases.release(lease)
