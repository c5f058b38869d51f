"""Moments by the database's clock, and how long to wait before trying again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone

from outbound.models import OutgoingMessage

FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(days=5)  # RFC 5321 §4.5.4.1: at least four to five days
# Who gets an automatic answer later than that is only puzzled by it.
AUTO_REPLY_GIVE_UP_AFTER = timedelta(days=1)
_SPREAD = 0.2


def ago(age: timedelta) -> Combinable:
    """The database's clock less ``age``: workers on several machines agree on it."""
    return ExpressionWrapper(Now() - age, output_field=DateTimeField())


def retry_delay(attempts: int) -> timedelta:
    """Delay after so many failed ``attempts``: 1, 2, 4 … minutes up to 4 hours, each give or take a fifth.

    The spread keeps mails that failed together from coming back together (R26).
    """
    doubled: timedelta = FIRST_DELAY * 2 ** min(max(attempts, 1) - 1, 12)
    spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311  # spreads load, guards nothing
    return min(doubled, LONGEST_DELAY) * spread


def due_at(moment: datetime | None = None) -> datetime:
    """``moment``, or now, in whole seconds: SQLite's clock is coarser than Python's; due means due now."""
    return (moment or timezone.now()).replace(microsecond=0)


def give_up_at(due: datetime, purpose: str) -> datetime:
    """When trying ends for a mail that is first due at ``due``."""
    return due + _patience(purpose)


def first_due_at(end: datetime, purpose: str) -> datetime:
    """When a mail was first due that is given up at ``end``."""
    return end - _patience(purpose)


def _patience(purpose: str) -> timedelta:
    is_automatic = purpose == OutgoingMessage.Purpose.AUTO_REPLY
    return AUTO_REPLY_GIVE_UP_AFTER if is_automatic else GIVE_UP_AFTER
