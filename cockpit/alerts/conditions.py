"""What is wrong now. To alert on something new, write a function and add it to :data:`CONDITIONS`.

A condition reads the database and yields a :class:`Finding` for each account (or the installation) that is in
trouble *at this moment*; how long that lasts, who is told and when it is over is not its business. Queries
find the few in trouble, so their cost does not grow with accounts that are well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Exists, Min, OuterRef, Q
from django.db.models.functions import Coalesce

from cockpit.models import Alert
from inbound.models import IncomingMessage
from inbound.watching import HEARTBEAT as WATCHER_HEARTBEAT
from jobs.models import Heartbeat
from mailaccounts import selectors
from mailaccounts.health import LARGE_BACKLOG
from mailaccounts.models import AccountHealth, MailAccount
from outbound import throttling
from outbound.clock import first_due_at
from outbound.models import DeliveryThrottle, OutgoingMessage
from outbound.selectors import overdue

Kind, Severity = Alert.Kind, Alert.Severity

LATE_AFTER = timedelta(minutes=15)
LATE_PERIODS = 3
QUARANTINE_AFTER = timedelta(hours=1)
BACKLOG_AFTER = timedelta(hours=1)
# Whoever works in the outbox decides before anybody is alerted.
DECISION_AFTER = timedelta(minutes=5)
CONSENT_ENDS_WITHIN = timedelta(days=2)
# What a restart or one slow minute brings about is nobody's business.
BLIP = timedelta(minutes=2)
# After a standstill of the workers every account is late; these minutes let them catch up.
CATCHING_UP = timedelta(minutes=5)
WATCHER_SILENT_AFTER = timedelta(minutes=3)
# A watcher silent for longer was taken out of service.
WATCHER_FORGOTTEN_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Trouble at this moment. ``opens_after``: how long it must be observed before it becomes an alert."""

    kind: Alert.Kind
    severity: Alert.Severity
    since: datetime
    account_id: int | None = None
    params: Mapping[str, str | int] = field(default_factory=dict)
    opens_after: timedelta = timedelta(0)

    @property
    def key(self) -> tuple[str, int | None]:
        """What there is one alert of."""
        return self.kind.value, self.account_id


Condition = Callable[[datetime], Iterator[Finding]]


def not_polled(now: datetime) -> Iterator[Finding]:
    """Paused until a person acts, failing for long, or asked again and again without any success."""
    silent_since = now - LATE_AFTER
    for account in selectors.accounts_in_trouble(failing_before=alert_before(now), silent_since=silent_since):
        health = getattr(account, "health", None) or AccountHealth(account=account)
        if health.failing_since:
            blip = timedelta(0) if health.is_paused else BLIP
            yield _failure(Kind.POLLING, health, health.failing_since, account.imap.host, opens_after=blip)
        elif is_late(account, health, now):
            yield Finding(
                kind=Kind.LATE,
                account_id=account.pk,
                severity=Severity.WARNING,
                since=health.last_success_at or account.created_at,
                opens_after=CATCHING_UP,
            )


def is_late(account: MailAccount, health: AccountHealth, now: datetime) -> bool:
    """Whether the last success is older than three poll periods, and than a quarter of an hour."""
    periods = timedelta(seconds=LATE_PERIODS * account.imap.poll_seconds)
    return now - (health.last_success_at or account.created_at) > max(periods, LATE_AFTER)


def not_sending(now: datetime) -> Iterator[Finding]:
    """The server refuses the login, or mail has been waiting for it for long."""
    waiting = OutgoingMessage.objects.filter(account=OuterRef("pk"), state=OutgoingMessage.State.QUEUED)
    held = throttling.sending_accounts().filter(delivery_throttle__isnull=False)
    for account in held.annotate(has_waiting=Exists(waiting)):
        throttle = account.delivery_throttle
        is_long = throttle.failing_since <= alert_before(now) and account.has_waiting
        if throttling.has_new_settings(account) or not (throttle.is_paused or is_long):
            continue
        yield _failure(Kind.SENDING, throttle, throttle.failing_since, account.smtp.host)


def token_ending(now: datetime) -> Iterator[Finding]:
    """An access token that cannot be renewed, or a consent that ends soon; until then mail goes on."""
    failing = Q(failing_since__isnull=False)
    tokens = selectors.active_tokens().filter(failing | Q(consent_ends_at__lt=now + CONSENT_ENDS_WITHIN))
    rows = tokens.values_list("account", "failing_since", "error_code", "consent_ends_at")
    for account_id, failing_since, code, ends in rows:
        yield Finding(
            kind=Kind.TOKEN,
            account_id=account_id,
            severity=Severity.WARNING,
            since=failing_since or (ends or now) - CONSENT_ENDS_WITHIN,
            params={"code": code or "oauth_consent_ends"},
            opens_after=BLIP if failing_since else timedelta(0),
        )


def not_delivered(now: datetime) -> Iterator[Finding]:
    """Mail that should have left long ago, of accounts that are not held off."""
    rows = overdue(alert_before(now)).filter(
        alert_notices__isnull=True,
        account__in=throttling.sending_accounts().filter(delivery_throttle__isnull=True),
    )
    grouped = rows.values_list("account", "purpose").annotate(n=Count("pk"), end=Min("give_up_at"))
    found: dict[int, list[tuple[int, datetime]]] = {}
    for account_id, purpose, n, end in grouped.order_by():
        found.setdefault(account_id, []).append((n, first_due_at(end, purpose)))
    for account_id, groups in found.items():
        yield Finding(
            kind=Kind.UNDELIVERED,
            account_id=account_id,
            severity=Severity.WARNING,
            since=min(due for _, due in groups),
            params={"count": sum(n for n, _ in groups)},
            opens_after=BLIP,
        )


def not_settled(now: datetime) -> Iterator[Finding]:
    """Mail failed or uncertain about which nobody has decided; alert mails themselves do not count."""
    rows = OutgoingMessage.objects.needing_attention().filter(alert_notices__isnull=True)
    grouped = (
        rows.values_list(Coalesce("from_account", "account"))
        .annotate(n=Count("pk"), since=Min("finished_at"))
        .order_by()
    )
    for account_id, n, since in grouped:
        yield Finding(
            kind=Kind.UNSETTLED,
            account_id=account_id,
            severity=Severity.WARNING,
            since=since or now,
            params={"count": n},
            opens_after=DECISION_AFTER,
        )


def in_quarantine(now: datetime) -> Iterator[Finding]:
    """Mail that nobody has looked at for an hour."""
    rows = IncomingMessage.objects.in_quarantine().filter(quarantined_at__isnull=False)
    grouped = rows.values_list("account").annotate(n=Count("pk"), since=Min("quarantined_at")).order_by()
    for account_id, n, since in grouped.filter(since__lte=now - QUARANTINE_AFTER):
        yield Finding(
            kind=Kind.QUARANTINE,
            account_id=account_id,
            severity=Severity.WARNING,
            since=since,
            params={"count": n},
        )


def behind(now: datetime) -> Iterator[Finding]:
    """A backlog that an hour of polling has not worked off."""
    rows = AccountHealth.objects.filter(
        account__in=selectors.polled_accounts(), failing_since__isnull=True, backlog__gte=LARGE_BACKLOG
    )
    for account_id, backlog in rows.values_list("account", "backlog"):
        yield Finding(
            kind=Kind.BACKLOG,
            account_id=account_id,
            severity=Severity.NOTICE,
            since=now,
            params={"count": backlog},
            opens_after=BACKLOG_AFTER,
        )


def silent_watcher(now: datetime) -> Iterator[Finding]:
    """The process that waits for mail by IDLE no longer gives signs of life; polling goes on."""
    silent = Heartbeat.objects.filter(
        name=WATCHER_HEARTBEAT, at__lt=now - WATCHER_SILENT_AFTER, at__gt=now - WATCHER_FORGOTTEN_AFTER
    )
    for at in silent.values_list("at", flat=True):
        yield Finding(kind=Kind.WATCHER, severity=Severity.WARNING, since=at, opens_after=BLIP)


def _failure(
    kind: Alert.Kind,
    state: AccountHealth | DeliveryThrottle,
    since: datetime,
    host: str,
    *,
    opens_after: timedelta = timedelta(0),
) -> Finding:
    """One way of an account: paused until a person acts, or tried again and again."""
    severity, reason = (Severity.CRITICAL, "paused") if state.is_paused else (Severity.WARNING, "failing")
    return Finding(
        kind=kind,
        account_id=state.account_id,
        severity=severity,
        since=since,
        params={"reason": reason, "code": state.error_code, "host": host},
        opens_after=opens_after,
    )


def alert_before(now: datetime) -> datetime:
    """Trouble older than this is told; what is younger mostly passes by itself."""
    return now - timedelta(minutes=settings.ALERT_AFTER_MINUTES)


CONDITIONS: tuple[Condition, ...] = (
    not_polled,
    not_sending,
    token_ending,
    not_delivered,
    not_settled,
    in_quarantine,
    behind,
    silent_watcher,
)


def findings(now: datetime) -> list[Finding]:
    """All that is wrong at this moment; no two conditions speak of the same kind."""
    return [finding for condition in CONDITIONS for finding in condition(now)]
