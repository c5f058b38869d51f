"""Background work of the outbox: one task an account, never one a mail."""

from __future__ import annotations

from celery import shared_task

from outbound import delivery


@shared_task(name="outbound.deliver")
def deliver(account_id: int) -> None:
    """Deliver what is due for one transporting account, for at most a slice of 25 seconds."""
    delivery.deliver(account_id)
