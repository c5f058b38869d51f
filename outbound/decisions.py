"""What people decide about queued, failed or uncertain mail: each step a compare-and-set, and audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from audit import services as audit
from jobs.wake import wake_on_commit
from mailaccounts.models import MailAccount
from outbound import throttling
from outbound.clock import due_at, give_up_at
from outbound.errors import NotPossible, NoTransport
from outbound.models import OutgoingMessage, Recipient
from outbound.selectors import transporting_account
from outbound.tasks import append_to_sent, deliver

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

State = OutgoingMessage.State
CopyState = OutgoingMessage.CopyState
_TAKEN_OVER = (
    "from_account_id", "purpose", "from_address", "from_name", "envelope_sender", "subject", "message_id",
    "raw_id",
)  # fmt: skip


def cancel(*, message: OutgoingMessage, by: AbstractBaseUser | None) -> None:
    """Stop a mail that still waits. Raises :class:`NotPossible` once a worker has it.

    ``by`` None is the system.
    """
    with transaction.atomic():
        waiting = OutgoingMessage.objects.filter(pk=message.pk, state=State.QUEUED)
        if not waiting.update(
            state=State.CANCELLED, finished_at=timezone.now(), copy_state=_copy_of_unsent(message)
        ):
            raise NotPossible("not_queued")
        audit.record(action="outbound.cancelled", obj=message, by=by)


def _copy_of_unsent(message: OutgoingMessage) -> CopyState:
    """A mail that some recipient has accepted keeps its copy (R27), any other needs none."""
    return CopyState(message.copy_state) if message.copy_next_attempt_at else CopyState.NONE


def try_now(*, message: OutgoingMessage, by: AbstractBaseUser) -> None:
    """Try a waiting mail, and its held-off account, at once. Raises :class:`NotPossible` else."""
    with transaction.atomic():
        waiting = OutgoingMessage.objects.filter(pk=message.pk, state=State.QUEUED)
        if not waiting.update(next_attempt_at=due_at()):
            raise NotPossible("not_queued")
        throttling.clear([message.account_id])
        audit.record(action="outbound.tried_now", obj=message, by=by)
        wake_on_commit(deliver, message.account_id)


def send_again(
    *,
    message: OutgoingMessage,
    by: AbstractBaseUser,
    account: MailAccount | None = None,
    is_confirmed: bool = False,
) -> OutgoingMessage:
    """Queue the same bytes as a new row that ``replaces`` this one, for those who have not accepted them.

    ``account`` transports instead of the one that product §3 chooses. An uncertain mail needs
    ``is_confirmed``, as it may arrive twice (R24); an uncertain automatic answer is never repeated. Raises
    :class:`NotPossible` and :class:`NoTransport`.
    """
    _require_repeatable(message, is_confirmed=is_confirmed)
    carrier = _carrier(message, account)
    with transaction.atomic():
        _decide(message, by)
        again = _replacement(message, carrier, by)
        audit.record(
            action="outbound.sent_again", obj=message, by=by, changes={"replaced_by": [None, again.pk]}
        )
        wake_on_commit(deliver, carrier.pk)
    return again


def _require_repeatable(message: OutgoingMessage, *, is_confirmed: bool) -> None:
    if message.state not in OutgoingMessage.TROUBLE_STATES:
        raise NotPossible("not_final")
    if message.state != State.UNCERTAIN:
        return
    if message.purpose == OutgoingMessage.Purpose.AUTO_REPLY:
        raise NotPossible("auto_reply")
    if not is_confirmed:
        raise NotPossible("unconfirmed")


def _carrier(message: OutgoingMessage, account: MailAccount | None) -> MailAccount:
    if account is None:
        return transporting_account(message.from_address)
    if not throttling.sending_accounts().filter(pk=account.pk).exists():
        raise NoTransport(message.from_address)
    return account


def _decide(message: OutgoingMessage, by: AbstractBaseUser) -> None:
    """Two people who decide at once: the second learns that it is done. Raises :class:`NotPossible`."""
    undecided = OutgoingMessage.objects.filter(pk=message.pk).needing_attention()
    if not undecided.update(settled_by=by, settled_at=timezone.now()):
        raise NotPossible("decided")


def _replacement(message: OutgoingMessage, carrier: MailAccount, by: AbstractBaseUser) -> OutgoingMessage:
    left = message.recipients.exclude(state=Recipient.State.ACCEPTED)
    recipients = list(left.order_by("pk"))
    if not recipients:
        raise NotPossible("nobody_left")
    due = due_at()
    again = OutgoingMessage.objects.create(
        account=carrier,
        created_by_id=by.pk,
        next_attempt_at=due,
        give_up_at=give_up_at(due, message.purpose),
        replaces=message,
        copy_state=_copy_of_repetition(message),
        **{name: getattr(message, name) for name in _TAKEN_OVER},
    )
    Recipient.objects.bulk_create(
        Recipient(message=again, kind=one.kind, address=one.address, name=one.name) for one in recipients
    )
    if message.state == State.UNCERTAIN:
        OutgoingMessage.objects.filter(pk=message.pk).update(copy_state=CopyState.NONE)
    return again


def _copy_of_repetition(message: OutgoingMessage) -> CopyState:
    """One copy is enough: none where the first sending has made or is making it."""
    if message.copy_next_attempt_at or message.copy_state in {CopyState.DONE, CopyState.FAILED}:
        return CopyState.NONE
    imap = getattr(message.from_account, "imap", None)
    return CopyState.PENDING if imap and imap.copies_sent and imap.sent_folder else CopyState.NONE


def settle_as_arrived(*, message: OutgoingMessage, by: AbstractBaseUser) -> None:
    """A person knows that an uncertain mail arrived: its copy is made now. Raises :class:`NotPossible`."""
    if message.state != State.UNCERTAIN:
        raise NotPossible("not_uncertain")
    with transaction.atomic():
        _decide(message, by)
        due = OutgoingMessage.objects.filter(pk=message.pk, copy_state=CopyState.PENDING)
        if due.update(copy_next_attempt_at=due_at()) and message.from_account_id:
            wake_on_commit(append_to_sent, message.from_account_id)
        audit.record(action="outbound.settled_as_arrived", obj=message, by=by)


def dismiss(*, message: OutgoingMessage, by: AbstractBaseUser) -> None:
    """A person has taken note of a failed mail and will not repeat it. Raises :class:`NotPossible`."""
    if message.state != State.FAILED:
        raise NotPossible("not_failed")
    with transaction.atomic():
        _decide(message, by)
        audit.record(action="outbound.dismissed", obj=message, by=by)


def copy_again(*, message: OutgoingMessage, by: AbstractBaseUser) -> None:
    """Try the Sent copy again, at once. Raises :class:`NotPossible` for mail not sent or without copy."""
    was_accepted = message.recipients.filter(state=Recipient.State.ACCEPTED).exists()
    arrived = message.state == State.UNCERTAIN and message.settled_at and not hasattr(message, "replaced_by")
    if not (was_accepted or arrived):
        raise NotPossible("not_sent")
    with transaction.atomic():
        lacking = OutgoingMessage.objects.filter(
            pk=message.pk, copy_state__in=[CopyState.FAILED, CopyState.PENDING], from_account__isnull=False
        )
        if not lacking.update(copy_state=CopyState.PENDING, copy_next_attempt_at=due_at(), copy_attempts=0):
            raise NotPossible("no_copy_wanted")
        audit.record(action="outbound.copied_again", obj=message, by=by)
        wake_on_commit(append_to_sent, message.from_account_id or 0)
