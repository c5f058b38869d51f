"""Telling by mail what opened, what lasts and what is over: one mail a reader and minute, however much it is.

Alerts travel through the outbox like any mail, carried by a company account that is itself in no trouble.
They are marked as automatic, and the import knows them by their Message-ID: an alert that arrives in a polled
mailbox becomes no ticket, is not answered and alerts nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import translation

from cockpit.alerts import wording
from cockpit.alerts.readers import Reader, readers_of
from cockpit.models import Alert, AlertNotice
from jobs import leases
from jobs.leases import HeldLease
from mailaccounts.models import MailAccount
from mailkit.addresses import Address, normalise
from mailkit.errors import MailError
from masterdata.selectors import company
from outbound import services, throttling
from outbound.drafts import Draft
from outbound.errors import NotPossible, NoTransport
from outbound.models import OutgoingMessage
from outbound.services import ComposedMail

logger = logging.getLogger(__name__)

REMIND_AFTER = timedelta(hours=24)
# An all-clear that could not be mailed for so long helps nobody.
ALL_CLEAR_WITHIN = timedelta(hours=24)

Occasion = AlertNotice.Occasion
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one reader, and the alerts that stand in it."""

    reader: Reader
    composed: ComposedMail
    alerts: Sequence[Alert]


@dataclass(slots=True)
class Due:
    """What there is to tell."""

    opened: list[Alert] = field(default_factory=list)
    reminders: list[Alert] = field(default_factory=list)
    cleared: list[Alert] = field(default_factory=list)

    @property
    def alerts(self) -> list[Alert]:
        """All of it."""
        return [*self.opened, *self.reminders, *self.cleared]

    def for_reader(self, reader: Reader) -> Due:
        """The part that concerns the reader."""
        parts = (
            [a for a in part if reader.concerns(a)] for part in (self.opened, self.reminders, self.cleared)
        )
        return Due(*parts)


def mail_due(lease: HeldLease, *, now: datetime) -> None:
    """Queue the mails that are due. Raises LeaseLost when another worker has taken over.

    What cannot be mailed is marked, stays on the start page and is tried again each time.
    """
    carrier = choose_carrier()
    if carrier:
        take_back_stuck(lease, carrier)
    due = find_due(now)
    if not due.alerts:
        return
    readers = readers_of(due.alerts)
    letters = compose(due, readers, carrier) if carrier else []
    with transaction.atomic():
        leases.renew(lease)
        _queue(letters)
        _note(due, letters, has_carrier=carrier is not None, now=now)


def find_due(now: datetime) -> Due:
    """New alerts, those not mailed for a day that nobody has seen, and those that are over; no mere notes."""
    alerts = Alert.objects.filter(severity__gt=Alert.Severity.NOTICE).select_related("account")
    alerts = alerts.order_by("-severity", "opened_at", "pk")
    holding = list(alerts.open().filter(clear_since__isnull=True))
    over = alerts.filter(
        closed_at__gt=now - ALL_CLEAR_WITHIN, notified_at__isnull=False, all_clear_at__isnull=True
    )
    return Due(
        opened=[alert for alert in holding if alert.notified_at is None],
        reminders=[
            alert
            for alert in holding
            if alert.notified_at and alert.acknowledged_at is None and now - alert.notified_at >= REMIND_AFTER
        ],
        cleared=list(over),
    )


def choose_carrier() -> MailAccount | None:
    """The account that mails alerts: a company account that can send and is in no trouble, preferably the
    standard one.

    Personal accounts carry none: their owners would find in their Sent folder what is wrong with others'.
    """
    in_trouble = Alert.objects.unclosed().filter(kind__in=Alert.KEEPS_FROM_SENDING)
    candidates = throttling.sending_accounts().filter(kind=MailAccount.Kind.COMPANY)
    candidates = candidates.exclude(pk__in=in_trouble.filter(account__isnull=False).values("account"))
    able = [account for account in candidates.select_related("health") if not throttling.is_held_off(account)]
    basics = company()
    main_address = normalise(basics.main_address) if basics else ""

    def rank(account: MailAccount) -> tuple[bool, bool, bool, bool, int]:
        health = getattr(account, "health", None)
        polls_badly = bool(health and health.failing_since)
        is_main = normalise(account.email) == main_address
        return _failed_last(account), polls_badly, not account.is_standard, not is_main, account.pk

    return min(able, key=rank, default=None)


def _failed_last(account: MailAccount) -> bool:
    """Whether the account's last attempt to send failed, and nobody has changed its settings since."""
    return hasattr(account, "delivery_throttle") and not throttling.has_new_settings(account)


def take_back_stuck(lease: HeldLease, carrier: MailAccount) -> None:
    """Alert mails that wait for an account which cannot send after all go through ``carrier`` instead."""
    if _failed_last(carrier):
        return
    waiting = OutgoingMessage.objects.filter(
        alert_notices__isnull=False, state=OutgoingMessage.State.QUEUED
    ).exclude(account=carrier)
    holders = throttling.sending_accounts().filter(pk__in=waiting.values("account"))
    able = {account.pk for account in holders if not _failed_last(account)}
    for message in waiting.exclude(account__in=able).distinct():
        # NotPossible: a worker took it in this moment.
        with suppress(NotPossible), transaction.atomic():
            leases.renew(lease)
            services.cancel(message=message, by=None)
            notices = AlertNotice.objects.filter(message=message)
            over = notices.filter(occasion=Occasion.ALL_CLEAR)
            Alert.objects.filter(pk__in=over.values("alert")).update(all_clear_at=None)
            told = notices.exclude(occasion=Occasion.ALL_CLEAR)
            Alert.objects.filter(pk__in=told.values("alert")).update(notified_at=None)


def compose(due: Due, readers: Sequence[Reader], carrier: MailAccount) -> list[Letter]:
    """Write the mails; an address that cannot be written to keeps nobody else from being told."""
    letters = []
    basics = company()
    firm = basics.name if basics else ""
    for reader in readers:
        part = due.for_reader(reader)
        with translation.override(reader.language):
            draft = _draft(part, reader, carrier, firm)
        try:
            letters.append(Letter(reader, services.compose(draft), part.alerts))
        except (MailError, NoTransport) as error:
            logger.warning("Alerts cannot be mailed to one reader: %s", type(error).__name__)
    return letters


def _draft(part: Due, reader: Reader, carrier: MailAccount, firm: str) -> Draft:
    return Draft(
        from_address=carrier.smtp.sender_address or carrier.email,
        to=[Address("", reader.address)],
        subject=wording.subject(firm, part.opened, part.reminders, part.cleared),
        text=wording.text(part.opened, part.reminders, part.cleared),
        purpose=OutgoingMessage.Purpose.SYSTEM,
        headers=HEADERS,
        account_id=carrier.pk,
    )


def _queue(letters: Sequence[Letter]) -> None:
    rows = services.queue_many([letter.composed for letter in letters], by=None) if letters else []
    AlertNotice.objects.bulk_create(
        AlertNotice(alert=alert, message=row, occasion=_occasion(alert))
        for row, letter in zip(rows, letters, strict=True)
        for alert in letter.alerts
    )


def _occasion(alert: Alert) -> Occasion:
    """Why the alert is told now."""
    if alert.closed_at:
        return Occasion.ALL_CLEAR
    return Occasion.REMINDER if alert.notified_at else Occasion.OPENED


def _note(due: Due, letters: Sequence[Letter], *, has_carrier: bool, now: datetime) -> None:
    told = {alert.pk for letter in letters for alert in letter.alerts}
    problem = Alert.MailProblem.NO_READER if has_carrier else Alert.MailProblem.NO_CARRIER
    holding = Alert.objects.filter(pk__in=[alert.pk for alert in (*due.opened, *due.reminders)])
    holding.filter(pk__in=told).update(notified_at=now, mail_problem="")
    holding.exclude(pk__in=told).update(mail_problem=problem)
    over = Alert.objects.filter(pk__in=[alert.pk for alert in due.cleared])
    over.filter(pk__in=told).update(all_clear_at=now)
