"""How many tasks wait in the broker."""

from __future__ import annotations

from typing import Any

from celery import current_app
from django.conf import settings
from kombu.exceptions import ChannelError, OperationalError

BROKER_SECONDS = 2


def lengths() -> dict[str, int]:
    """Tasks waiting by queue; empty while the broker cannot be asked.

    The in-memory broker of ``manage.py serve`` tells of its own process only, as it has no other.
    """
    try:
        with current_app.connection_for_read(connect_timeout=BROKER_SECONDS) as link:
            link.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
            channel = link.default_channel
            return {queue.name: _length(channel, queue.name) for queue in settings.CELERY_TASK_QUEUES}
    except (OperationalError, OSError):
        return {}


def _length(channel: Any, name: str) -> int:
    """A queue that nobody has used yet, or that was emptied, is unknown to Redis."""
    try:
        return int(channel.queue_declare(name, passive=True).message_count)
    except ChannelError:
        return 0
