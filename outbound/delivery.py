"""Delivering what is due."""

from __future__ import annotations


def deliver(account_id: int) -> None:
    """Deliver what is due for one transporting account."""
    raise NotImplementedError(account_id)
