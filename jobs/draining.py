"""Stopping soon: once a worker has been told to end, long work ends after its current step (R42).

A poll ends after its batch, a delivery after its mail; the rest is left to another worker. What has not ended
after ``DRAIN_SECONDS`` is broken off, as by a crash: nothing is lost, a mail in doubt becomes *uncertain*.
"""

from __future__ import annotations

import mmap
import os
import signal
import threading
from typing import Any

from celery.signals import worker_shutting_down
from django.conf import settings

# One byte shared with the children that a worker forks: a signal reaches the parent only. No lock, so that a
# child killed while it looks cannot hold up the parent's signal handler.
_flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Let long work of this process and its children end soon; safe in a signal handler."""
    _flag[0] = 1


def has_begun() -> bool:
    """Whether this process is to end: begin nothing that another cannot go on with."""
    return bool(_flag[0])


@worker_shutting_down.connect
def drain(how: str, **_kwargs: Any) -> None:
    """Let the tasks of a Celery worker that got SIGTERM end, and end those that do not by a cold shutdown."""
    if how != "Warm":
        return
    begin()
    limit = threading.Timer(settings.DRAIN_SECONDS, os.kill, [os.getpid(), signal.SIGQUIT])
    limit.daemon = True
    limit.start()
