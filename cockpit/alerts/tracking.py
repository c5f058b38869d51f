"""Which alerts hold: opened after their time, closed once the trouble has been gone for two minutes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cockpit.alerts.conditions import Finding
from cockpit.models import Alert
from jobs.bulk import update_rows

CLEAR_AFTER = timedelta(minutes=2)
"""Trouble that comes back sooner was never gone."""

_OBSERVED = ("severity", "params", "last_seen_at", "opened_at", "clear_since", "closed_at", "notified_at")


def track(found: Iterable[Finding], *, now: datetime) -> None:
    """Compare ``found`` with the unclosed alerts, in the caller's transaction.

    The unique constraint holds even if two callers do so at once. An alert that gets worse (a failing account
    is paused) is told anew; one that gets worse or grows is no longer "seen".
    """
    by_key = {finding.key: finding for finding in found}
    known = {(alert.kind, alert.account_id): alert for alert in Alert.objects.unclosed()}
    worse = [alert.pk for key, alert in known.items() if key in by_key and _is_worse(alert, by_key[key])]
    new = [_first_sight(finding, now) for key, finding in by_key.items() if key not in known]
    Alert.objects.bulk_create(new, ignore_conflicts=True)
    passed = [alert.pk for key, alert in known.items() if key not in by_key and alert.opened_at is None]
    Alert.objects.filter(pk__in=passed).delete()
    for key, alert in known.items():
        if key in by_key:
            _see(alert, by_key[key], now)
        else:
            _miss(alert, now)
    update_rows([alert for alert in known.values() if alert.pk not in passed], _OBSERVED)
    Alert.objects.filter(pk__in=worse).update(acknowledged_at=None, acknowledged_by=None)


def _first_sight(finding: Finding, now: datetime) -> Alert:
    return Alert(
        kind=finding.kind,
        account_id=finding.account_id,
        severity=finding.severity,
        params=dict(finding.params),
        since=finding.since,
        first_seen_at=now,
        last_seen_at=now,
        opened_at=None if finding.opens_after else now,
    )


def _is_worse(alert: Alert, finding: Finding) -> bool:
    return finding.severity > alert.severity or finding.params.get("count", 0) > alert.params.get("count", 0)


def _see(alert: Alert, finding: Finding, now: datetime) -> None:
    if finding.severity > alert.severity:
        alert.notified_at = None
    alert.severity, alert.params = finding.severity, dict(finding.params)
    alert.last_seen_at, alert.clear_since = now, None
    if alert.opened_at is None and now - alert.first_seen_at >= finding.opens_after:
        alert.opened_at = now


def _miss(alert: Alert, now: datetime) -> None:
    if alert.clear_since is None:
        alert.clear_since = now
    elif now - alert.clear_since >= CLEAR_AFTER:
        alert.closed_at = now
