"""Delivering what is due for one account: one SMTP session, many mails, at most 25 seconds a slice.

::

    deliver(account_id)
      lease           one session an account at a time, fenced
      claim a batch   conditional UPDATE, committed before anything goes on the wire
      open            decrypt, vet, connect, secure, log in; failing holds off the whole account
      each mail       MAIL, RCPT, DATA, body → commit ``dot_sent`` → "." → reply → record
      release         what was claimed and not tried
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from jobs import draining, failpoints, instance, leases
from jobs.leases import HeldLease, LeaseLost
from mailaccounts.connections import open_smtp
from mailaccounts.models import MailAccount
from mailkit.delivery import DeliveryResult, MailTransport
from mailkit.errors import MailError, PermanentDeliveryError, TransientDeliveryError, UncertainDelivery
from outbound import claims, outcomes, throttling
from outbound.claims import Claim, ClaimLost
from outbound.models import OutgoingMessage

State = OutgoingMessage.State
logger = logging.getLogger(__name__)

SLICE_SECONDS = 25.0
_SERVER_CLOSES = 421  # RFC 5321 §3.8
_RECORD_PAUSES = (0.5, 2.0, 5.0)  # seconds


@dataclass(slots=True)
class DeliveryReport:
    """What a slice came to. ``error`` is the code of what keeps the account from sending, "" for nothing."""

    account_id: int
    sent: int = 0
    failed: int = 0
    deferred: int = 0
    uncertain: int = 0
    error: str = ""
    has_more: bool = False

    @property
    def has_tried(self) -> bool:
        """Whether any mail was on the wire, so that there may be Sent copies to make."""
        return bool(self.sent or self.failed or self.deferred)

    def add(self, other: DeliveryReport) -> None:
        """Add the counts of the next slice, and take over how things stand after it."""
        for name in ("sent", "failed", "deferred", "uncertain"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.error, self.has_more = other.error, other.has_more

    def count(self, state: State) -> None:
        """Count one mail that ended the attempt in ``state``."""
        names = {State.SENT: "sent", State.FAILED: "failed", State.UNCERTAIN: "uncertain"}
        name = names.get(state, "deferred")
        setattr(self, name, getattr(self, name) + 1)


def deliver(account_id: int, *, slice_seconds: float = SLICE_SECONDS) -> DeliveryReport:
    """Send what is due through the account, and say what came of it. Never raises for a server's doings.

    Raises :class:`jobs.instance.UnconfirmedCopy` where nothing may be sent (product §12).
    """
    instance.require_original()
    report = DeliveryReport(account_id)
    report.error = waiting_code(_read(account_id))
    name = MailAccount(pk=account_id).sending_lease_name
    lease = None if report.error else leases.acquire(name, ttl=claims.LEASE_TTL)
    if lease is None:
        report.error = report.error or "busy"
        return report
    try:
        _send_leased(lease, report, slice_seconds)
    except LeaseLost:
        report.error = "lease_lost"
    finally:
        leases.release(lease)
    report.has_more = not report.error and claims.due(account_id).exists()
    return report


def _read(account_id: int) -> MailAccount:
    return MailAccount.objects.select_related("smtp", "imap", "delivery_throttle").get(pk=account_id)


def _send_leased(lease: HeldLease, report: DeliveryReport, slice_seconds: float) -> None:
    """Read the settings under the lease: what was saved just before it was taken revoked nothing (R39)."""
    account = _read(report.account_id)
    report.error = waiting_code(account)
    if not report.error:
        _Slice(account, lease, report, slice_seconds).run()


def waiting_code(account: MailAccount) -> str:
    """Why all mail of the account waits, as a code of ``mailaccounts.diagnosis``; "" while it sends."""
    if account.is_retired:
        return "account_retired"
    smtp = getattr(account, "smtp", None)
    if smtp is None or not smtp.is_enabled:
        return "smtp_off"
    return account.delivery_throttle.error_code if throttling.is_held_off(account) else ""


def due_account_ids() -> list[int]:
    """Accounts that have mail due and may be tried now."""
    claims.recover_stale()
    waiting = claims.due_anywhere().values("account")
    accounts = throttling.sending_accounts().filter(pk__in=waiting)
    due = [account.pk for account in accounts if not throttling.is_held_off(account)]
    outcomes.give_up_untried(due)
    return due


class _SessionOver(Exception):
    """The session can carry no further mail; a new one may."""


class _Slice:
    """One worker's turn at one account."""

    def __init__(
        self, account: MailAccount, lease: HeldLease, report: DeliveryReport, slice_seconds: float
    ) -> None:
        self._account = account
        self._lease = lease
        self._report = report
        self._ends_at = time.monotonic() + slice_seconds
        self._batch: list[Claim] = []
        self._transcript: list[str] | None = None
        self._served = 0  # mails that got a definite reply in the present session
        self._is_throttled = hasattr(account, "delivery_throttle")

    def run(self) -> None:
        """Send until nothing is due, the account is held off, or time is up."""
        try:
            while self._may_go_on() and self._next_batch():
                self._run_session()
        finally:
            claims.release(self._batch)

    def _may_go_on(self) -> bool:
        is_time = time.monotonic() < self._ends_at and not draining.has_begun()
        return is_time and not self._report.error

    def _next_batch(self) -> bool:
        if not self._batch:
            self._batch = claims.claim_batch(self._account.pk, self._lease)
        return bool(self._batch)

    def _run_session(self) -> None:
        self._served = 0
        self._transcript = [] if self._records_dialogue() else None
        with ExitStack() as stack:
            transport = self._open(stack)
            try:
                while transport and self._may_go_on() and self._next_batch():
                    self._send_next(transport)
            except _SessionOver:
                pass

    def _records_dialogue(self) -> bool:
        until = self._account.smtp.debug_until
        return until is not None and until > timezone.now()

    def _open(self, stack: ExitStack) -> MailTransport | None:
        try:
            return stack.enter_context(open_smtp(self._account, transcript=self._transcript))
        except MailError as error:
            self._hold_off(self._batch.pop(0), error)
            return None

    def _hold_off(self, claim: Claim, error: MailError) -> None:
        """The account cannot send now: its mail waits, and only the first one counts an attempt."""
        self._report.count(outcomes.record_deferral(claim, error, self._dialogue()))
        self._throttle(error)
        logger.warning("Account %s cannot send: %s", self._account.pk, error.code)

    def _throttle(self, error: MailError) -> None:
        claims.release(self._batch)
        self._batch = []
        throttling.hold_off(self._account, error)
        outcomes.give_up_overdue(self._account.pk, error)
        self._report.error = error.code

    def _send_next(self, transport: MailTransport) -> None:
        claim = self._batch[0]
        claim.started_at = timezone.now()
        try:
            result = self._send(transport, claim)
        except ClaimLost:
            self._batch.pop(0)  # somebody else decides about this mail; the connection was cut before the dot
            raise _SessionOver from None
        except MailError as error:
            self._record_error(claim, error)
        else:
            failpoints.reached("outbound_after_reply")
            self._batch.pop(0)
            dialogue = self._dialogue()
            self._definite(_insist(lambda: outcomes.record_result(claim, result, dialogue)))
        if not getattr(transport, "is_open", True):
            raise _SessionOver

    def _send(self, transport: MailTransport, claim: Claim) -> DeliveryResult:
        message = claim.message
        leases.renew_for_transfer(self._lease, message.raw.size)

        def before_dot() -> None:
            failpoints.reached("outbound_before_dot_sent")
            claims.mark_dot_sent(claim)
            failpoints.reached("outbound_before_dot")

        def send(envelope_sender: str) -> DeliveryResult:
            return transport.send(
                envelope_sender, claim.pending, message.raw.content_bytes, before_dot=before_dot
            )

        try:
            return send(message.envelope_sender)
        except PermanentDeliveryError as error:
            if not _is_null_sender_refused(claim, error):
                raise
        # Some servers take no null sender (product §7).
        claims.held(claim).update(envelope_sender=self._account.email)
        return send(self._account.email)

    def _record_error(self, claim: Claim, error: MailError) -> None:
        if isinstance(error, TransientDeliveryError) and error.reply_code in {0, _SERVER_CLOSES}:
            self._server_went_away(error)
            return
        self._batch.pop(0)
        if isinstance(error, UncertainDelivery):
            self._report.count(outcomes.record_uncertain(claim, error, self._dialogue()))
            # A server that breaks off after every dot must not make a whole queue uncertain.
            self._throttle(error)
        elif isinstance(error, TransientDeliveryError):
            self._definite(outcomes.record_deferral(claim, error, self._dialogue()))
        else:
            self._definite(outcomes.record_failure(claim, error, self._dialogue()))

    def _server_went_away(self, error: TransientDeliveryError) -> None:
        """Not delivered. After other mails went through, a new session is all it takes; else hold off."""
        if not self._served:
            self._hold_off(self._batch.pop(0), error)
        raise _SessionOver

    def _definite(self, state: State) -> None:
        self._served += 1
        if self._is_throttled:
            throttling.clear([self._account.pk])
            self._is_throttled = False
        self._report.count(state)

    def _dialogue(self) -> list[str]:
        """What was said since the last mail; empty unless SMTP-Debug is on."""
        if not self._transcript:
            return []
        said = list(self._transcript)
        self._transcript.clear()
        return said


def _insist(record: Callable[[], State]) -> State:
    """Write a definite reply down even if the database is away for a moment, lest the mail be uncertain.

    Repeating is safe: what was committed although the answer got lost is found done.
    """
    for pause in _RECORD_PAUSES:
        try:
            return record()
        except (OperationalError, InterfaceError):
            logger.warning("The database did not take the outcome of a delivery; trying again")
            connection.close()
            time.sleep(pause)
    return record()


def _is_null_sender_refused(claim: Claim, error: PermanentDeliveryError) -> bool:
    """Whether the server refused MAIL FROM:<>: no recipient was asked and the dot was not sent."""
    is_plain = error.code == PermanentDeliveryError.code and not error.refused
    return not claim.message.envelope_sender and is_plain and not claim.dot_is_sent
