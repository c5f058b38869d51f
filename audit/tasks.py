"""Background work of the room."""

from __future__ import annotations

import logging

from celery import shared_task

from audit import chain

log = logging.getLogger("audit.chain")


@shared_task(name="audit.seal")
def seal() -> None:
    """Chain the entries recorded since the last round."""
    chain.seal()


@shared_task(name="audit.log_head")
def log_head() -> None:
    """Write the chain's head where the database's administrator has no hand in: ``verify_audit`` takes it."""
    log.info("Head of the audit chain: %s", chain.head())
