"""Signs of life of the processes that nobody sees."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from jobs.models import Heartbeat


def beat(name: str) -> None:
    """Record that the process ``name`` is alive."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now()})


def ages() -> dict[str, timedelta]:
    """Time since the last sign of life of each process that ever gave one."""
    now = timezone.now()
    return {name: now - at for name, at in Heartbeat.objects.values_list("name", "at")}


def age(name: str) -> timedelta | None:
    """Time since the last sign of life, or None when there was none."""
    at = Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()
    return timezone.now() - at if at else None
