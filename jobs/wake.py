"""Waking workers: a lost wake-up costs seconds, never mail, because beat sweeps what is due (R6)."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def wake(task: Task[..., object], *ids: int | str, **options: Any) -> None:
    """Send ``task`` to the broker; a broker that is down is logged, not raised: beat finds it.

    ``options`` are Celery's: another ``queue`` than the task's, seconds after which it ``expires``.
    """
    try:
        task.apply_async(args=ids, retry=False, **options)
    except (OperationalError, OSError) as error:
        logger.warning("Could not wake %s: %s", task.name, type(error).__name__)


def wake_on_commit(task: Task[..., object], *ids: int | str) -> None:
    """Wake ``task`` once the current transaction has committed."""
    transaction.on_commit(lambda: wake(task, *ids))
