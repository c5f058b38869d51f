"""Writing what people do about alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from audit import services as audit
from cockpit.models import Alert

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def acknowledge(*, alert: Alert, by: AbstractBaseUser) -> bool:
    """Say that somebody takes care: no more reminders until it gets worse. False when it is over or seen."""
    with transaction.atomic():
        unseen = Alert.objects.open().filter(pk=alert.pk, acknowledged_at=None)
        if not unseen.update(acknowledged_at=timezone.now(), acknowledged_by=by):
            return False
        audit.record(action="alert.acknowledged", obj=alert, by=by)
    return True
