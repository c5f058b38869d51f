"""``/metrics``: the state of the installation in Prometheus' text format, read from the database when asked.

Nothing is counted in memory, so every web process answers the same, and a restart loses nothing. The number
of queries does not depend on the number of accounts or mails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from django.db.models import Case, CharField, Count, Min, Q, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cockpit import backups, restore_drill
from cockpit.alerts.presentation import silent_worker, unwatched
from cockpit.models import Alert
from inbound.models import IncomingMessage
from inbound.selectors import ledger_difference, quarantine_count
from inbound.watching import HEARTBEAT as WATCHER_HEARTBEAT
from jobs import heartbeats, queues
from mailaccounts.health import LARGE_BACKLOG
from mailaccounts.models import AccountHealth, MailAccount
from mailaccounts.selectors import active_tokens
from outbound.models import DeliveryAttempt, OutgoingMessage

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
CopyState = OutgoingMessage.CopyState

# The states of mailaccounts.health.health_card, decided by the database instead of row by row.
_HEALTH = Case(
    When(retired_at__isnull=False, then=Value("retired")),
    When(imap__isnull=True, then=Value("send_only")),
    When(on_hold_since__isnull=False, then=Value("on_hold")),
    When(health__failing_since__isnull=False, health__is_paused=True, then=Value("paused")),
    When(health__failing_since__isnull=False, then=Value("failing")),
    When(health__warning_code__gt="", then=Value("warning")),
    When(health__backlog__gte=LARGE_BACKLOG, then=Value("backlog")),
    When(health__last_success_at__isnull=False, then=Value("ok")),
    default=Value("waiting"),
    output_field=CharField(),
)
HEALTH_STATES = (
    "ok", "failing", "paused", "warning", "backlog", "waiting", "on_hold", "retired", "send_only",
)  # fmt: skip
RECENTLY = timedelta(minutes=5)
_AGES = (
    (
        "worker",
        "worker_heartbeat_age_seconds",
        "Time since beat last reached a worker and the worker the database.",
    ),
    (WATCHER_HEARTBEAT, "watcher_heartbeat_age_seconds", "Time since the watcher's last sign of life."),
    (backups.HEARTBEAT, "backup_age_seconds", "Time since the last backup by manage.py backup."),
    (restore_drill.HEARTBEAT, "restore_drill_age_seconds", "Time since the last good restore drill."),
)
# Polling goes on by itself; paused accounts wait for a person.
_POLLED = ("ok", "failing", "warning", "backlog", "waiting")


class StateCollector(Collector):
    """Reads everything anew whenever it is asked."""

    def collect(self) -> Iterator[Metric]:
        """Accounts, ledger, tokens, outbox, deliveries, broker, signs of life, alerts; ages in seconds."""
        now = timezone.now()
        yield from account_families(now)
        yield from ledger_families()
        yield from token_families(now)
        yield from outbox_families(now)
        yield delivery_family()
        yield broker_family()
        yield from age_families()
        yield alert_family(now)


def exposition() -> bytes:
    """The body of ``/metrics``."""
    registry = CollectorRegistry()
    registry.register(StateCollector())
    return generate_latest(registry)


def account_families(now: datetime) -> Iterator[GaugeMetricFamily]:
    """Accounts by health, and how far polling is behind."""
    rows = list(
        MailAccount.objects.order_by()
        .values(condition=_HEALTH)
        .annotate(
            accounts=Count("pk"),
            succeeded=Min("health__last_success_at"),
            due=Min("health__next_poll_at"),
            waiting=Coalesce(Sum("health__backlog"), 0),
        )
    )
    active = [row for row in rows if row["condition"] in {*_POLLED, "paused"}]
    polled = [row for row in active if row["condition"] in _POLLED]
    counts = {row["condition"]: row["accounts"] for row in rows}
    yield by_state("accounts", "E-mail accounts by health.", HEALTH_STATES, counts)
    yield gauge(
        "last_successful_poll_age_seconds",
        "Longest time since a successful poll, over accounts that are polled or paused.",
        longest(now, (row["succeeded"] for row in active)),
    )
    yield gauge(
        "poll_overdue_seconds",
        "How long the account waiting longest has been due for a poll; 0 when none is.",
        longest(now, (row["due"] for row in polled)),
    )
    yield gauge(
        "backlog_messages",
        "Messages on the servers that the last polls left for the next.",
        sum(row["waiting"] for row in active),
    )
    yield gauge(
        "accounts_polled_recently",
        "Accounts whose servers were asked within the last five minutes.",
        AccountHealth.objects.filter(last_attempt_at__gt=now - RECENTLY).count(),
    )


def ledger_families() -> Iterator[GaugeMetricFamily]:
    """Where incoming messages stand, and what waits in quarantine."""
    states = IncomingMessage.State
    counts = dict(IncomingMessage.objects.values_list("state").annotate(n=Count("pk")).order_by())
    yield by_state("ledger_messages", "Incoming messages by ledger state.", states.values, counts)
    yield gauge(
        "ledger_difference",
        "Messages by which servers and ledger differ as of the last polls; 0 is right.",
        ledger_difference(),
    )
    yield gauge("quarantine_open", "Messages in quarantine that nobody has settled.", quarantine_count())


def token_families(now: datetime) -> Iterator[GaugeMetricFamily]:
    """How old the oldest access token is, and how long the next to expire still lives; below 0 it is dead."""
    ends = active_tokens().aggregate(refreshed=Min("refreshed_at"), expires=Min("expires_at"))
    refreshed, expires = ends["refreshed"], ends["expires"]
    yield gauge(
        "oauth_token_age_seconds",
        "Time since the OAuth token waiting longest was refreshed.",
        (now - refreshed).total_seconds() if refreshed else None,
    )
    yield gauge(
        "oauth_token_expires_in_seconds",
        "Time until the next OAuth access token expires unless refreshed; negative once it has.",
        (expires - now).total_seconds() if expires else None,
    )


def outbox_families(now: datetime) -> Iterator[GaugeMetricFamily]:
    """Where outgoing mails and their copies stand."""
    outbox = OutgoingMessage.objects.order_by()
    rows = outbox.values_list("state", "copy_state").annotate(n=Count("pk"))
    states: dict[str, int] = {}
    copies: dict[str, int] = {}
    for state, copy_state, n in rows:
        states[state] = states.get(state, 0) + n
        copies[copy_state] = copies.get(copy_state, 0) + n
    yield by_state("outbox_messages", "Outgoing mails by state.", OutgoingMessage.State.values, states)
    wanted = (CopyState.PENDING.value, CopyState.FAILED.value)
    yield by_state("sent_copies", "Copies for the Sent folder that are not there yet.", wanted, copies)
    yield gauge(
        "outbox_needing_attention",
        "Mails failed or uncertain about which nobody has decided.",
        outbox.needing_attention().count(),
    )
    # A mail queued for later is not late.
    late = outbox.unfinished().exclude(Q(attempts=0) & Q(next_attempt_at__gt=now))
    yield gauge(
        "undelivered_oldest_seconds",
        "Age of the oldest mail that should have left; 0 when there is none.",
        longest(now, late.aggregate(at=Min("created_at")).values()),
    )


def delivery_family() -> CounterMetricFamily:
    """Attempts to deliver by what came of them, counted from their rows, so that a restart forgets none."""
    family = CounterMetricFamily(
        "erp_mail_deliveries", "Attempts to deliver by outcome, a code of the outbox.", labels=["outcome"]
    )
    finished = DeliveryAttempt.objects.filter(finished_at__isnull=False).order_by()
    for outcome, n in finished.values_list("outcome").annotate(n=Count("pk")):
        family.add_metric([outcome], n)
    return family


def broker_family() -> GaugeMetricFamily:
    """Tasks that wait in the broker; without a sample while it cannot be asked."""
    family = GaugeMetricFamily("erp_mail_queue_tasks", "Tasks waiting in the broker.", labels=["queue"])
    for queue, length in queues.lengths().items():
        family.add_metric([queue], length)
    return family


def age_families() -> Iterator[GaugeMetricFamily]:
    """Ages of the last signs of life, backup and drill; without a sample where there never was one."""
    ages = heartbeats.ages()
    for name, metric, text in _AGES:
        age = ages.get(name)
        yield gauge(metric, text, age.total_seconds() if age is not None else None)


def alert_family(now: datetime) -> GaugeMetricFamily:
    """Alerts that hold, by kind and state; silent workers are noticed by the scrape itself."""
    state = Case(
        When(acknowledged_at__isnull=False, then=Value("acknowledged")),
        When(mail_problem__gt="", then=Value("unmailed")),
        default=Value("open"),
        output_field=CharField(),
    )
    rows = Alert.objects.open().order_by().values_list("kind", state).annotate(n=Count("pk"))
    counts = {(kind, name): n for kind, name, n in rows}
    if silent_worker(now) or unwatched(now):
        counts[Alert.Kind.WORKER, "unmailed"] = 1
    family = GaugeMetricFamily(
        "erp_mail_alerts", "Alerts that hold, by kind and state.", labels=["kind", "state"]
    )
    for kind in Alert.Kind.values:
        for name in ("open", "unmailed", "acknowledged"):
            family.add_metric([kind, name], counts.get((kind, name), 0))
    return family


def gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    """One number; no sample where there is nothing to measure."""
    family = GaugeMetricFamily(f"erp_mail_{name}", text)
    if value is not None:
        family.add_metric([], value)
    return family


def by_state(name: str, text: str, states: Iterable[str], counts: Mapping[str, int]) -> GaugeMetricFamily:
    """One number a state, 0 included: a series that comes and goes cannot be alerted on."""
    family = GaugeMetricFamily(f"erp_mail_{name}", text, labels=["state"])
    for state in states:
        family.add_metric([state], counts.get(state, 0))
    return family


def longest(now: datetime, moments: Iterable[datetime | None]) -> float:
    """Seconds since the earliest moment, at least 0."""
    return max((0.0, *((now - at).total_seconds() for at in moments if at is not None)))
