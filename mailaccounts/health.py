"""What polling an account last came to, when it is tried next, and how that is told.

Failures back off from one minute to fifteen, spread a little so that accounts of one dead server do not
return together. A refused login is tried three times and then rests until somebody changes the settings
(R32): providers lock accounts that go on trying.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.db import transaction
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.utils import timezone

from mailaccounts import oauth_tokens
from mailaccounts.diagnosis import Explanation, explain
from mailaccounts.errors import AccountNotReady
from mailaccounts.models import AccountHealth, ConnectionEvent, MailAccount
from mailaccounts.selectors import polled_accounts
from mailkit.errors import AuthenticationFailed, MailError
from mailkit.imap_errors import is_temporary

FIRST_BACKOFF = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(minutes=15)
LOGIN_ATTEMPTS = 3
# From here on a backlog is worth a word: it is being worked off, and takes more than a poll.
LARGE_BACKLOG = 200
_SPREAD = 0.2

Tone = Literal["ok", "warn", "bad", "off", "hint"]
State = Literal["ok", "failing", "paused", "warning", "backlog", "waiting", "on_hold", "retired", "send_only"]

_TONE_BY_STATE: dict[State, Tone] = {
    "ok": "ok",
    "failing": "bad",
    "paused": "bad",
    "warning": "warn",
    "backlog": "warn",
    "waiting": "hint",
    "on_hold": "off",
    "retired": "off",
    "send_only": "ok",
}

_POLLED: frozenset[State] = frozenset({"ok", "failing", "warning", "backlog", "waiting"})


@dataclass(frozen=True, slots=True)
class HealthCard:
    """What the account's page and its row in the list say; no ``explanation`` while all is well."""

    state: State
    explanation: Explanation | None
    last_success_at: datetime | None
    last_attempt_at: datetime | None
    next_poll_at: datetime | None
    failing_since: datetime | None
    failures: int
    backlog: int
    on_hold_since: datetime | None

    @property
    def tone(self) -> Tone:
        """Colour of the dot; never alone, always with its word."""
        return _TONE_BY_STATE[self.state]

    @property
    def is_failing(self) -> bool:
        """Whether mail stands still because something failed."""
        return self.state in {"failing", "paused"}


def record_success(
    account_id: int,
    *,
    next_poll_at: datetime,
    backlog: int = 0,
    warning_code: str = "",
    claim: datetime | None = None,
) -> None:
    """A poll went through, with ``backlog`` messages still to fetch; ``warning_code`` is explained.

    ``claim`` is the time that ``next_poll_at`` was set to while the account was looked at. Where it stands no
    more, a newer poll or a change of settings has come before, and nothing is recorded (R39). Who gives none
    holds the account's lease in this transaction.
    """
    now = timezone.now()
    with transaction.atomic():
        before = _row(account_id, claim)
        if before is None:
            return
        AccountHealth.objects.filter(pk=before.pk).update(
            last_attempt_at=now,
            last_success_at=now,
            next_poll_at=next_poll_at,
            backlog=backlog,
            warning_code=warning_code,
            **_NO_TROUBLE,
        )
        if before.failing_since:
            _tell(account_id, ConnectionEvent.Kind.RECOVERED, code=before.error_code)
        if warning_code and warning_code != before.warning_code:
            _tell(account_id, ConnectionEvent.Kind.WARNED, code=warning_code)


def record_unchanged(account_ids: Collection[int], *, next_poll_at: datetime, claim: datetime | None) -> None:
    """Nothing is new on the servers of these accounts, none of which was failing: one statement for all.

    ``claim`` is that of :func:`record_success`.
    """
    now = timezone.now()
    AccountHealth.objects.filter(
        account_id__in=account_ids, next_poll_at=claim, failing_since__isnull=True
    ).update(last_attempt_at=now, last_success_at=now, next_poll_at=next_poll_at, backlog=0)


def record_failure(account_id: int, error: MailError, *, claim: datetime | None = None) -> None:
    """A poll failed: back off, and pause where trying again by itself would do harm or no good.

    ``claim`` is that of :func:`record_success`.
    """
    now = timezone.now()
    with transaction.atomic():
        before = _row(account_id, claim)
        if before is None:
            return
        login_failures = before.login_failures + _is_refused_login(error)
        pauses = login_failures >= LOGIN_ATTEMPTS or _awaits_a_person(error)
        if isinstance(error, AuthenticationFailed):
            oauth_tokens.note_refusal(account_id, error)
        AccountHealth.objects.filter(pk=before.pk).update(
            last_attempt_at=now,
            next_poll_at=now + backoff(before.failures + 1),
            failing_since=before.failing_since or now,
            failures=F("failures") + 1,
            login_failures=login_failures,
            error_code=error.code,
            error_detail=error.detail,
            is_paused=before.is_paused or pauses,
        )
        _tell(account_id, ConnectionEvent.Kind.FAILED, code=error.code, detail=error.detail)
        if pauses and not before.is_paused:
            _tell(account_id, ConnectionEvent.Kind.PAUSED, code=error.code)


def resume(account: MailAccount) -> None:
    """Poll again at once, with all three login attempts: the settings changed, or a person says so.

    What failed last stays on the health card until a poll has shown that it is over.
    """
    AccountHealth.objects.get_or_create(account=account)
    AccountHealth.objects.filter(account=account).update(
        next_poll_at=timezone.now(), is_paused=False, failures=0, login_failures=0
    )


def poll_soon() -> int:
    """Let every account that is polled at all be due now; return how many."""
    rows = AccountHealth.objects.filter(account__in=polled_accounts(), is_paused=False)
    return rows.update(next_poll_at=timezone.now())


def forget_old_events() -> int:
    """Keep the last :attr:`ConnectionEvent.KEPT` events of each account; return how many went."""
    newer = ConnectionEvent.objects.filter(account=OuterRef("account"), pk__gt=OuterRef("pk"))
    counted = newer.order_by().values("account").annotate(number=Count("pk")).values("number")
    old = ConnectionEvent.objects.annotate(newer=Subquery(counted)).filter(newer__gte=ConnectionEvent.KEPT)
    return ConnectionEvent.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]


def due_account_ids(limit: int, *, failing: bool | None = None) -> list[int]:
    """Accounts to poll now, longest waiting first; ``failing`` keeps to those that failed last, or not."""
    now = timezone.now()
    due = Q(health__isnull=True) | Q(health__next_poll_at__isnull=True) | Q(health__next_poll_at__lte=now)
    accounts = polled_accounts().filter(due)
    if failing is not None:
        has_failed = Q(health__failing_since__isnull=False)
        accounts = accounts.filter(has_failed if failing else ~has_failed)
    waiting = accounts.exclude(health__is_paused=True).order_by(
        F("health__next_poll_at").asc(nulls_first=True), "pk"
    )
    return list(waiting.values_list("pk", flat=True)[:limit])


def backoff(failures: int) -> timedelta:
    """Delay after so many ``failures`` in a row: 1, 2, 4, 8, 15 minutes, each give or take a fifth."""
    doubled: timedelta = FIRST_BACKOFF * 2 ** min(failures - 1, 10)
    spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311  # spreads load, guards nothing
    return min(doubled, LONGEST_BACKOFF) * spread


def health_card(account: MailAccount) -> HealthCard:
    """What to tell about the account; with ``imap`` and ``health`` selected beforehand it makes no query."""
    health = getattr(account, "health", None) or AccountHealth(account=account)
    state = _state(account, health)
    return HealthCard(
        state=state,
        explanation=_explanation(account, health, state),
        last_success_at=health.last_success_at,
        last_attempt_at=health.last_attempt_at,
        next_poll_at=health.next_poll_at if state in _POLLED else None,
        failing_since=health.failing_since,
        failures=health.failures,
        backlog=health.backlog,
        on_hold_since=account.on_hold_since,
    )


def _state(account: MailAccount, health: AccountHealth) -> State:
    if account.is_retired:
        return "retired"
    if not hasattr(account, "imap"):
        return "send_only"
    if account.on_hold_since:
        return "on_hold"
    if health.failing_since:
        return "paused" if health.is_paused else "failing"
    if health.warning_code:
        return "warning"
    if health.backlog >= LARGE_BACKLOG:
        return "backlog"
    return "ok" if health.last_success_at else "waiting"


def _explanation(account: MailAccount, health: AccountHealth, state: State) -> Explanation | None:
    if state in {"failing", "paused"}:
        return explain(health.error_code, health.error_detail, host=account.imap.host)
    if state == "warning":
        return explain(health.warning_code, host=account.imap.host)
    return None


_NO_TROUBLE = {
    "failing_since": None,
    "failures": 0,
    "login_failures": 0,
    "error_code": "",
    "error_detail": "",
    "is_paused": False,
}


def _row(account_id: int, claim: datetime | None) -> AccountHealth | None:
    if claim is None:
        return AccountHealth.objects.get_or_create(account_id=account_id)[0]
    # Locked, so that settings saved at this moment have the last word.
    return AccountHealth.objects.select_for_update().filter(account=account_id, next_poll_at=claim).first()


def _tell(account_id: int, kind: ConnectionEvent.Kind, *, code: str = "", detail: str = "") -> None:
    ConnectionEvent.objects.create(
        account_id=account_id, at=timezone.now(), kind=kind, code=code, detail=detail
    )


def _is_refused_login(error: MailError) -> bool:
    return isinstance(error, AuthenticationFailed) and not is_temporary(error)


def _awaits_a_person(error: MailError) -> bool:
    return isinstance(error, AccountNotReady)
