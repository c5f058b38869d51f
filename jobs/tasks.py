"""Tasks of the foundation itself."""

from __future__ import annotations

from celery import shared_task

from jobs import heartbeats


@shared_task(name="jobs.beat_heartbeat")
def beat_heartbeat() -> None:
    """Sent by beat, run by a worker: proves both alive."""
    heartbeats.beat("worker")
