"""What people do with messages in quarantine. The worker tries again, never the web process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audit import services as audit
from inbound.models import IncomingMessage
from inbound.reasons import Reason
from inbound.tasks import poll_account
from jobs.wake import wake_on_commit
from mailkit.limits import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

State = IncomingMessage.State


class QuarantineError(Exception):
    """The message can not be tried again, discarded or shown; ``str()`` is a sentence for the user."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)

    def __str__(self) -> str:
        return str(_REASONS[self.code])


_REASONS: dict[str, Promise] = {
    "settled": _("This message is no longer in quarantine."),
    "gone": _("The message is no longer on the server, and its content was never fetched."),
    "still_too_large": _("The message is still larger than the limit. Read it once in spite of its size."),
    "beyond_reading": _("Messages beyond 64 MB can not be read at all. Open it in a mail program."),
    "account_rests": _("The account is retired or on hold. Let it work again, then try the message again."),
    "no_original": _("The original lies on the server only."),
}


def retry(*, row: IncomingMessage, by: AbstractBaseUser) -> None:
    """Try the message again, from its stored bytes or, where there are none, from the server.

    Raises :class:`QuarantineError`.
    """
    if row.raw_id is None and row.size > settings.MAIL_MAX_MESSAGE_BYTES:
        raise QuarantineError("still_too_large")
    _reopen(row, by, action="quarantine.retried", reason="")


def read_anyway(*, row: IncomingMessage, by: AbstractBaseUser) -> None:
    """Import, this once, a message that was left on the server for its size, or taken for a loop.

    Raises :class:`QuarantineError`.
    """
    if row.raw_id is None and row.size > MAX_MESSAGE_BYTES:
        raise QuarantineError("beyond_reading")
    _reopen(row, by, action="quarantine.read_anyway", reason=Reason.READ_ANYWAY)


def retry_all(*, by: AbstractBaseUser) -> int:
    """Try all again that can be; return how many."""
    count = 0
    for row in IncomingMessage.objects.in_quarantine().select_related("mailbox", "account"):
        try:
            retry(row=row, by=by)
        except QuarantineError:
            continue
        count += 1
    return count


def discard(*, row: IncomingMessage, by: AbstractBaseUser, reason: str) -> None:
    """Take the message out of the list of what is to be done; row and original stay.

    Raises :class:`QuarantineError`.
    """
    with transaction.atomic():
        _change(row, discarded_at=timezone.now(), discarded_by_id=by.pk, discard_reason=reason)
        audit.record(action="quarantine.discarded", obj=row, by=by, reason=reason)


def read_original(*, row: IncomingMessage, by: AbstractBaseUser, reason: str) -> bytes:
    """The bytes of a quarantined message for an emergency view, which is recorded (product §6).

    Raises :class:`QuarantineError` where only the server has them.
    """
    if row.raw is None:
        raise QuarantineError("no_original")
    audit.record(action="quarantine.original_read", obj=row, by=by, reason=reason)
    return row.raw.content_bytes


def _reopen(row: IncomingMessage, by: AbstractBaseUser, *, action: str, reason: str) -> None:
    if row.raw_id is None and not _is_on_server(row):
        raise QuarantineError("gone")
    if row.account.is_retired or row.account.on_hold_since:
        raise QuarantineError("account_rests")  # it would wait unseen, outside the quarantine
    state = State.STORED if row.raw_id else State.SEEN
    with transaction.atomic():
        _change(
            row,
            state=state,
            reason=reason,
            attempts=0,
            discarded_at=None,
            discarded_by_id=None,
            discard_reason="",
        )
        audit.record(action=action, obj=row, by=by)
        wake_on_commit(poll_account, row.account_id)


def _is_on_server(row: IncomingMessage) -> bool:
    return row.server_copy == IncomingMessage.ServerCopy.KEPT and row.uid_validity == row.mailbox.uid_validity


def _change(row: IncomingMessage, **values: object) -> None:
    """Compare and set: somebody else may have been faster."""
    waiting: QuerySet[IncomingMessage] = IncomingMessage.objects.filter(pk=row.pk, state=State.QUARANTINED)
    if not waiting.update(**values):
        raise QuarantineError("settled")
