"""Who may send which row: claims are conditional UPDATEs, so two workers never hold the same mail.

A claim is short. What a dead worker leaves behind is told apart by its state: ``sending`` means the final dot
was never sent, so the mail waits again; ``dot_sent`` means nobody knows (R25).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from jobs import failpoints, leases
from jobs.leases import HeldLease
from outbound.clock import ago
from outbound.models import DeliveryAttempt, OutgoingMessage, Recipient

State = OutgoingMessage.State

BATCH_ROWS = 20
BATCH_BYTES = 8 * 1024 * 1024
STALE_AFTER = timedelta(minutes=10)
LEASE_TTL = timedelta(seconds=90)
# Longer than a server may take to answer the dot (mailkit waits five minutes, RFC 5321 §4.5.3.2.6).
DOT_LEASE_TTL = timedelta(minutes=6)


class ClaimLost(Exception):
    """The row is no longer ours to send: cancelled, or given to another worker. Never send the dot."""


@dataclass(slots=True)
class Claim:
    """One mail that this worker alone may send now."""

    message: OutgoingMessage
    lease: HeldLease
    recipients: list[Recipient]
    started_at: datetime = field(default_factory=timezone.now)
    attempt_id: int | None = None

    @property
    def pending(self) -> list[str]:
        """Addresses that have neither accepted nor finally refused it: only they are asked (R27)."""
        return [r.address for r in self.recipients if r.state == Recipient.State.PENDING]

    @property
    def dot_is_sent(self) -> bool:
        """Whether the final dot may be on the wire."""
        return self.attempt_id is not None


def due(account_id: int) -> QuerySet[OutgoingMessage]:
    """Rows of the transporting account that may be sent now, those waiting longest first."""
    return due_anywhere().filter(account=account_id).order_by("next_attempt_at", "pk")


def due_anywhere() -> QuerySet[OutgoingMessage]:
    """Rows of all accounts that may be sent now. An overdue automatic answer would only puzzle."""
    waiting = OutgoingMessage.objects.filter(state=State.QUEUED, next_attempt_at__lte=Now())
    return waiting.exclude(purpose=OutgoingMessage.Purpose.AUTO_REPLY, give_up_at__lte=Now())


def claim_batch(account_id: int, lease: HeldLease) -> list[Claim]:
    """Claim the next mails, bounded by count and bytes. Raises LeaseLost."""
    token = uuid.uuid4()
    with transaction.atomic():
        leases.renew(lease)
        ids = _batch_ids(account_id)
        OutgoingMessage.objects.filter(pk__in=ids, state=State.QUEUED).update(
            state=State.SENDING, claim_token=token, inflight_since=Now()
        )
    failpoints.reached("outbound_after_claim")
    claimed = OutgoingMessage.objects.filter(pk__in=ids, claim_token=token).select_related("raw", "account")
    rows = claimed.prefetch_related("recipients").order_by("next_attempt_at", "pk")
    return [Claim(row, lease, list(row.recipients.all())) for row in rows]


def _batch_ids(account_id: int) -> list[int]:
    ids: list[int] = []
    total = 0
    for pk, size in due(account_id).values_list("pk", "raw__size")[:BATCH_ROWS]:
        total += size
        if ids and total > BATCH_BYTES:
            break
        ids.append(pk)
    return ids


def mark_dot_sent(claim: Claim) -> None:
    """Write down durably that the dot goes out next. Raises LeaseLost or ClaimLost: then it must not."""
    with transaction.atomic(durable=True):
        leases.renew(replace(claim.lease, ttl=DOT_LEASE_TTL))
        still_ours = held(claim).filter(state=State.SENDING)
        if not still_ours.update(state=State.DOT_SENT, inflight_since=Now(), attempts=F("attempts") + 1):
            raise ClaimLost(claim.message.pk)
        attempt = DeliveryAttempt.objects.create(
            message=claim.message, account_id=claim.message.account_id, started_at=claim.started_at
        )
        failpoints.reached("outbound_in_dot_sent")
    claim.attempt_id = attempt.pk


def held(claim: Claim) -> QuerySet[OutgoingMessage]:
    """The claimed row, as long as the claim stands."""
    return OutgoingMessage.objects.filter(pk=claim.message.pk, claim_token=claim.message.claim_token)


def release(claims: Iterable[Claim]) -> None:
    """Give back mails that were claimed and not tried."""
    for claim in claims:
        held(claim).filter(state=State.SENDING).update(
            state=State.QUEUED, claim_token=None, inflight_since=None
        )


def recover_stale() -> None:
    """Take over what workers left that died more than ten minutes ago."""
    stale = OutgoingMessage.objects.filter(inflight_since__lt=ago(STALE_AFTER))
    stale.filter(state=State.SENDING).update(
        state=State.QUEUED, claim_token=None, inflight_since=None, last_error="worker_lost"
    )
    leave_uncertain(stale.filter(state=State.DOT_SENT))


def leave_uncertain(rows: QuerySet[OutgoingMessage]) -> int:
    """Declare rows uncertain whose reply nobody has seen; return how many.

    The claim token stays: should the reply still arrive, a definite one wins.
    """
    with transaction.atomic():
        ids = list(rows.values_list("pk", flat=True))
        changed = rows.filter(pk__in=ids).update(
            state=State.UNCERTAIN,
            last_error="delivery_uncertain",
            inflight_since=None,
            finished_at=Now(),
        )
        DeliveryAttempt.objects.filter(message__in=ids, finished_at=None).update(
            outcome="delivery_uncertain", finished_at=Now()
        )
    return changed
