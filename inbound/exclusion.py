"""Settings that keep a message from becoming a ticket before its bytes are read, and their reversal."""

from __future__ import annotations

from datetime import date, datetime

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from inbound.days import berlin_day, start_of
from inbound.models import IncomingMessage, Mailbox
from inbound.reasons import REOPENABLE, Reason
from inbound.visit import Visit
from mailaccounts.models import MailAccount
from tickets.models import TicketOptions

State = IncomingMessage.State


def first_state(internal_date: datetime, size: int, options: TicketOptions) -> tuple[State, Reason | None]:
    """State in which a message found on the server enters the ledger, and the reason where it goes no
    further.

    ``size`` is in bytes as the server announces it. Days are compared here, in Berlin, never by the server
    (R20).
    """
    excluded_by = exclusion(internal_date, options)
    if excluded_by:
        return State.EXCLUDED, excluded_by
    if size > settings.MAIL_MAX_MESSAGE_BYTES:
        return State.QUARANTINED, Reason.LEFT_ON_SERVER
    return State.SEEN, None


def exclusion(internal_date: datetime, options: TicketOptions) -> Reason | None:
    """Name of the setting that excludes a message received at ``internal_date``, if one does."""
    if not options.is_enabled:
        return Reason.TICKETS_OFF
    if options.from_date and berlin_day(internal_date) < options.from_date:
        return Reason.BEFORE_FROM_DATE
    return None


def exclude_waiting(visit: Visit, mailbox: Mailbox) -> int:
    """Apply the present settings to messages found earlier and not fetched yet; return how many they exclude.

    What a person asked to read in spite of its size is read.
    """
    reason = _changed_setting(visit.options)
    if reason is None:
        return 0
    with visit.fenced():
        waiting = IncomingMessage.objects.filter(mailbox=mailbox, state=State.SEEN).exclude(
            reason=Reason.READ_ANYWAY
        )
        if reason == Reason.BEFORE_FROM_DATE and visit.options.from_date:
            waiting = waiting.filter(internal_date__lt=start_of(visit.options.from_date))
        return waiting.update(state=State.EXCLUDED, reason=reason, processed_at=timezone.now())


def _changed_setting(options: TicketOptions) -> Reason | None:
    if not options.is_enabled:
        return Reason.TICKETS_OFF
    return Reason.BEFORE_FROM_DATE if options.from_date else None


def leave_folder(visit: Visit, mailbox: Mailbox) -> int:
    """Let go of a folder that the settings name no longer; return how many messages that excludes.

    What was found there and not fetched would wait for ever. It comes back with the folder.
    """
    waiting = IncomingMessage.objects.filter(mailbox=mailbox, state=State.SEEN)
    if mailbox.seen_at is None and not waiting.exists():
        return 0
    with visit.fenced():
        Mailbox.objects.filter(pk=mailbox.pk).update(seen_at=None, undiscovered=0)
        return waiting.update(state=State.EXCLUDED, reason=Reason.FOLDER_OFF, processed_at=timezone.now())


def return_to_folder(visit: Visit, mailbox: Mailbox) -> None:
    """Wait again for the messages that :func:`leave_folder` excluded."""
    with visit.fenced():
        IncomingMessage.objects.on_server(mailbox).filter(
            state=State.EXCLUDED, reason=Reason.FOLDER_OFF
        ).update(state=State.SEEN, reason="", processed_at=None)


def reopenable(account: MailAccount, from_date: date | None) -> QuerySet[IncomingMessage]:
    """Messages still on the server that were excluded and would be imported with that "from date"."""
    rows = IncomingMessage.objects.filter(
        account=account,
        state=State.EXCLUDED,
        reason__in=REOPENABLE,
        server_copy__in=IncomingMessage.ON_SERVER,
    )
    return rows.filter(internal_date__gte=start_of(from_date)) if from_date else rows


def reopen_excluded(account: MailAccount, from_date: date | None) -> int:
    """Let the next poll fetch what :func:`reopenable` names; return how many.

    Call it in the transaction that saves the setting: it fences off the running poll.
    """
    return reopenable(account, from_date).update(state=State.SEEN, reason="")


def count_reopenable(account: MailAccount, from_date: date | None) -> int:
    """How many messages would come when "from date" is moved there."""
    return reopenable(account, from_date).count()
