"""Writing the outbox: queue, cancel, repeat, settle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from archive.models import RawMail
from archive.services import store_raw
from jobs.wake import wake_on_commit
from outbound.bounced import record_bounces
from outbound.clock import due_at, give_up_at
from outbound.composing import ComposedMail, compose_many
from outbound.decisions import (
    cancel,
    copy_again,
    dismiss,
    send_again,
    settle_as_arrived,
    try_now,
)
from outbound.drafts import Draft
from outbound.models import OutgoingMessage, Recipient
from outbound.tasks import deliver

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

__all__ = [
    "ComposedMail", "Draft", "cancel", "compose", "compose_many", "copy_again", "dismiss", "queue_composed",
    "queue_many", "queue_message", "record_bounces", "send_again", "settle_as_arrived", "try_now",
]  # fmt: skip


def compose(draft: Draft) -> ComposedMail:
    """Choose the account and freeze the bytes. CPU and reads only: call it outside a transaction.

    Raises :class:`outbound.errors.NoTransport`, and mailkit's InvalidAddress and InvalidArgument.
    """
    return compose_many([draft])[0]


def queue_message(
    *, draft: Draft, by: AbstractBaseUser | None, not_before: datetime | None = None
) -> OutgoingMessage:
    """Compose and queue in a transaction of its own. ``by`` None is the system; raises as :func:`compose`."""
    composed = compose(draft)
    with transaction.atomic():
        return queue_composed(composed, by=by, not_before=not_before)


def queue_composed(
    composed: ComposedMail, *, by: AbstractBaseUser | None, not_before: datetime | None = None
) -> OutgoingMessage:
    """Queue one composed mail inside the caller's transaction; ``not_before`` delays it (undo, schedule)."""
    return queue_many([composed], by=by, not_before=not_before)[0]


def queue_many(
    mails: Sequence[ComposedMail], *, by: AbstractBaseUser | None, not_before: datetime | None = None
) -> list[OutgoingMessage]:
    """Queue composed mails, in order, inside the caller's transaction, with a constant number of statements.

    The delivery of their accounts is woken on commit; beat finds what a lost wake-up left.
    """
    raws = store_raw(mail.raw for mail in mails)
    rows = OutgoingMessage.objects.bulk_create([_row(mail, raws, by, not_before) for mail in mails])
    Recipient.objects.bulk_create(
        Recipient(message=row, kind=one.kind, name=one.name[:200], address=one.address)
        for row, mail in zip(rows, mails, strict=True)
        for one in mail.recipients
    )
    if not_before is None:
        _wake(mail.account_id for mail in mails)
    return rows


def _wake(account_ids: Iterable[int]) -> None:
    for account_id in sorted(set(account_ids)):
        wake_on_commit(deliver, account_id)


def _row(
    mail: ComposedMail, raws: dict[bytes, RawMail], by: AbstractBaseUser | None, not_before: datetime | None
) -> OutgoingMessage:
    due = due_at(not_before)
    return OutgoingMessage(
        account_id=mail.account_id,
        from_account_id=mail.from_account_id,
        purpose=mail.purpose,
        created_by_id=by.pk if by else None,
        from_address=mail.from_address,
        from_name=mail.from_name[:200],
        envelope_sender=mail.envelope_sender,
        subject=mail.subject[:998],
        message_id=mail.message_id,
        raw=raws[mail.raw],
        next_attempt_at=due,
        give_up_at=give_up_at(due, mail.purpose),
        copy_state=OutgoingMessage.CopyState.PENDING if mail.copies_sent else OutgoingMessage.CopyState.NONE,
    )
