"""The copy in the Sent folder: its own step with its own retries, never a reason to send again (R18)."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from jobs import draining, instance, leases
from jobs.leases import HeldLease, LeaseLost
from mailaccounts import health
from mailaccounts.connections import open_imap
from mailaccounts.models import MailAccount
from mailkit.errors import AuthenticationFailed, InvalidArgument, MailboxUnavailable, MailError
from mailkit.imap import ImapSession
from outbound.clock import retry_delay
from outbound.models import OutgoingMessage

CopyState = OutgoingMessage.CopyState

SLICE_SECONDS = 25.0
BATCH_ROWS = 20
GIVE_UP_AFTER = timedelta(days=5)
_LEASE_TTL = timedelta(minutes=3)


@dataclass(slots=True)
class CopyReport:
    """What a slice came to. ``error`` is the code of what stopped it, "" for nothing."""

    account_id: int
    copied: int = 0
    failed: int = 0
    error: str = ""
    has_more: bool = False


def due(account_id: int) -> QuerySet[OutgoingMessage]:
    """Mail of the From account whose copy may be made now, oldest first."""
    return _due_anywhere().filter(from_account=account_id).order_by("copy_next_attempt_at", "pk")


def _due_anywhere() -> QuerySet[OutgoingMessage]:
    return OutgoingMessage.objects.filter(copy_state=CopyState.PENDING, copy_next_attempt_at__lte=Now())


def due_account_ids() -> list[int]:
    """Accounts with copies due; those whose login waits for a person are left alone (R32)."""
    accounts = MailAccount.objects.active().filter(pk__in=_due_anywhere().values("from_account"))
    usable = accounts.filter(Q(health__isnull=True) | Q(health__is_paused=False))
    return list(usable.values_list("pk", flat=True))


def copy_due(account_id: int, *, slice_seconds: float = SLICE_SECONDS) -> CopyReport:
    """Copy what the account has sent into its Sent folder; never touches whether a mail counts as sent.

    Raises :class:`jobs.instance.UnconfirmedCopy` where no server may be touched (product §12).
    """
    instance.require_original()
    report = CopyReport(account_id)
    lease = leases.acquire(MailAccount(pk=account_id).copying_lease_name, ttl=_LEASE_TTL)
    if lease is None:
        report.error = "busy"
        return report
    try:
        account = MailAccount.objects.select_related("imap").get(pk=account_id)
        _Slice(account, lease, report, slice_seconds).run()
    except LeaseLost:
        report.error = "lease_lost"
    finally:
        leases.release(lease)
    report.has_more = not report.error and due(account_id).exists()
    return report


class _Slice:
    """One worker's turn at the Sent folder of one account."""

    def __init__(
        self, account: MailAccount, lease: HeldLease, report: CopyReport, slice_seconds: float
    ) -> None:
        self._account = account
        self._lease = lease
        self._report = report
        self._ends_at = time.monotonic() + slice_seconds

    def run(self) -> None:
        """Copy until nothing is due, the server fails, or time is up."""
        if not self._is_wanted():
            due(self._account.pk).update(copy_state=CopyState.NONE, copy_error="")
            return
        batch = self._next_batch()
        if not batch:
            return
        with ExitStack() as stack:
            try:
                session = stack.enter_context(open_imap(self._account))
                session.examine(self._account.imap.sent_folder)
            except MailError as error:
                self._hold_off(error)
                return
            while batch:
                self._copy_batch(session, batch)
                batch = self._next_batch()

    def _is_wanted(self) -> bool:
        imap = getattr(self._account, "imap", None)
        return bool(imap and imap.copies_sent and imap.sent_folder)

    def _may_go_on(self) -> bool:
        is_time = time.monotonic() < self._ends_at and not draining.has_begun()
        return is_time and not self._report.error

    def _next_batch(self) -> list[OutgoingMessage]:
        if not self._may_go_on():
            return []
        leases.renew(self._lease)
        return list(due(self._account.pk).select_related("raw")[:BATCH_ROWS])

    def _copy_batch(self, session: ImapSession, batch: list[OutgoingMessage]) -> None:
        for message in batch:
            if not self._may_go_on():
                return
            leases.renew(self._lease)
            leases.renew_for_transfer(self._lease, message.raw.size)
            self._copy(session, message)

    def _copy(self, session: ImapSession, message: OutgoingMessage) -> None:
        try:
            if not _is_there(session, message):
                session.append(
                    self._account.imap.sent_folder,
                    message.raw.content_bytes,
                    flags=["\\Seen"],
                    internal_date=message.finished_at or timezone.now(),
                )
        except MailboxUnavailable as error:
            self._report.failed += 1
            _defer(OutgoingMessage.objects.filter(pk=message.pk), message.copy_attempts, error)
        except MailError as error:
            self._hold_off(error)
        else:
            self._report.copied += 1
            _pending(message.pk).update(copy_state=CopyState.DONE, copy_error="", copy_next_attempt_at=None)

    def _hold_off(self, error: MailError) -> None:
        """Mailbox or folder cannot be reached: every copy of the account waits."""
        self._report.error = error.code
        attempts = due(self._account.pk).values_list("copy_attempts", flat=True).first() or 0
        _defer(due(self._account.pk).order_by(), attempts, error)
        if isinstance(error, AuthenticationFailed):
            with transaction.atomic():
                leases.renew(self._lease)
                health.record_failure(self._account.pk, error)  # counts with the polls' attempts (R32)


def _is_there(session: ImapSession, message: OutgoingMessage) -> bool:
    """Whether the folder holds the mail: kept by the server itself, or an APPEND whose reply was lost."""
    try:
        return bool(session.find_by_message_id(message.message_id))
    except InvalidArgument:
        return False


def _pending(pk: int) -> QuerySet[OutgoingMessage]:
    return OutgoingMessage.objects.filter(pk=pk, copy_state=CopyState.PENDING)


def _defer(rows: QuerySet[OutgoingMessage], attempts: int, error: MailError) -> None:
    """Try again later; copies that have been waiting for five days fail, with the reason."""
    now = timezone.now()
    reason = f"{error.code}: {error.detail}"[:500]
    ids = list(rows.filter(copy_state=CopyState.PENDING).values_list("pk", flat=True))
    waiting = OutgoingMessage.objects.filter(pk__in=ids, copy_state=CopyState.PENDING)
    waiting.filter(finished_at__lte=now - GIVE_UP_AFTER).update(
        copy_state=CopyState.FAILED, copy_error=reason, copy_attempts=F("copy_attempts") + 1
    )
    waiting.update(
        copy_error=reason,
        copy_attempts=F("copy_attempts") + 1,
        copy_next_attempt_at=now + retry_delay(attempts + 1),
    )
