"""What the start page and the list show of alerts, put together without a query a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from cockpit.alerts import wording
from cockpit.alerts.wording import Words
from cockpit.health import HEARTBEAT_LIMIT
from cockpit.models import Alert, AlertNotice
from cockpit.tasks import HEARTBEAT
from jobs import heartbeats
from mailaccounts.models import MailAccount
from mailaccounts.selectors import polled_accounts
from masterdata import roles
from outbound.models import OutgoingMessage
from ui import formatting

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

UNWATCHED_AFTER = timedelta(minutes=5)
ALL_CLEARS_SHOWN = timedelta(hours=24)
SHOWN = 20

Occasion, State = AlertNotice.Occasion, OutgoingMessage.State

_TONES = {Alert.Severity.CRITICAL: "bad", Alert.Severity.WARNING: "warn", Alert.Severity.NOTICE: "hint"}


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert in words. ``url`` leads to where something can be done, "" where no page helps."""

    alert: Alert
    words: Words
    tone: str
    url: str
    mail_note: str

    @property
    def is_open(self) -> bool:
        """Whether it still holds."""
        return self.alert.closed_at is None

    @property
    def may_acknowledge(self) -> bool:
        """Whether the button makes sense."""
        return self.is_open and self.alert.kind != Alert.Kind.WORKER and self.alert.acknowledged_at is None


@dataclass(frozen=True, slots=True)
class Board:
    """The block of the start page. ``failing``: accounts whose trouble is too young for an alert."""

    open: list[AlertRow]
    more: int
    failing: list[MailAccount]
    cleared: list[AlertRow]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.open or self.failing or self.cleared)


def may_see_alerts(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Administrators, and employees with a mailbox of their own."""
    return roles.is_mail_administrator(user) or MailAccount.objects.owned_by(user).exists()


def board(user: AbstractBaseUser | AnonymousUser) -> Board | None:
    """What the start page shows the user; None for those whom no alert concerns."""
    if not may_see_alerts(user):
        return None
    now = timezone.now()
    visible = Alert.objects.visible_to(user)
    holding = list(with_mails(visible.open()).order_by("-severity", "-opened_at", "-pk")[: SHOWN + 1])
    more = visible.open().count() - SHOWN if len(holding) > SHOWN else 0
    cleared = with_mails(visible.filter(closed_at__gt=now - ALL_CLEARS_SHOWN))
    return Board(
        open=rows_of([*live_alerts(user, now), *holding[:SHOWN]]),
        more=more,
        failing=list(_young_failures(user)[:SHOWN]),
        cleared=rows_of(cleared.order_by("-closed_at", "-pk")[:SHOWN]),
    )


def _young_failures(user: AbstractBaseUser | AnonymousUser) -> QuerySet[MailAccount]:
    told = Alert.objects.open().filter(account=OuterRef("pk"), kind=Alert.Kind.POLLING)
    accounts = polled_accounts() & MailAccount.objects.visible_to(user)
    failing = accounts.filter(~Exists(told), health__failing_since__isnull=False)
    return failing.select_related("health").order_by("health__failing_since", "pk")


def live_alerts(user: AbstractBaseUser | AnonymousUser, now: datetime) -> list[Alert]:
    """What no worker can write down, as they are silent themselves: found by whoever asks, never saved."""
    if not roles.is_mail_administrator(user):
        return []
    return [alert for alert in (silent_worker(now), unwatched(now)) if alert][:1]


def silent_worker(now: datetime) -> Alert | None:
    """No sign of life since three beats; an installation that never ran has not begun yet."""
    return _live("worker", HEARTBEAT_LIMIT, now, {})


def unwatched(now: datetime) -> Alert | None:
    """Workers live, but the task that looks for trouble does not come to its end."""
    return _live(HEARTBEAT, UNWATCHED_AFTER, now, {"reason": "unwatched"})


def _live(name: str, limit: timedelta, now: datetime, params: dict[str, str]) -> Alert | None:
    age = heartbeats.age(name)
    if age is None or age <= limit:
        return None
    since = now - age
    return Alert(
        kind=Alert.Kind.WORKER, severity=Alert.Severity.CRITICAL, since=since, opened_at=since, params=params
    )


def with_mails(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """Join what :func:`rows_of` looks at."""
    notices = AlertNotice.objects.select_related("message").prefetch_related("message__recipients")
    return alerts.select_related("account", "acknowledged_by").prefetch_related(
        Prefetch("notices", queryset=notices.order_by("pk"))
    )


def rows_of(alerts: Iterable[Alert]) -> list[AlertRow]:
    """The rows in the active language."""
    return [
        AlertRow(
            alert=alert,
            words=wording.words_of(alert),
            tone="ok" if alert.closed_at else _TONES[Alert.Severity(alert.severity)],
            url=wording.path_of(alert),
            mail_note=_mail_note(alert),
        )
        for alert in alerts
    ]


def _mail_note(alert: Alert) -> str:
    """Who was told when, or why nobody was."""
    if alert.kind == Alert.Kind.WORKER:
        return _("Not mailed: without a worker nothing leaves.")
    if alert.severity == Alert.Severity.NOTICE:
        return _("Shown here only, not mailed.")
    if alert.mail_problem and alert.closed_at is None:
        return str(alert.get_mail_problem_display())
    told = [notice for notice in alert.notices.all() if notice.message.state != State.CANCELLED]
    is_over = alert.closed_at is not None
    shown = [notice for notice in told if (notice.occasion == Occasion.ALL_CLEAR) is is_over]
    return _told(shown) if shown else ""


def _told(notices: list[AlertNotice]) -> str:
    """ "Mailed 07:45 to a@firma.de and 2 more", of the last mailing; or that it is still on its way."""
    last = notices[-1].message.created_at
    messages = [n.message for n in notices if last - n.message.created_at < timedelta(minutes=1)]
    addresses = [recipient.address for message in messages for recipient in message.recipients.all()]
    failed = [message for message in messages if message.state == State.FAILED or message.bounced_at]
    who = wording.listed(addresses, 2 if len(addresses) <= 2 else 1)
    words = {"time": formatting.short_time(last), "who": who}
    if len(failed) == len(messages):
        return _("Could not be delivered to %(who)s.") % words
    if any(message.state in {State.SENT, State.UNCERTAIN} for message in messages):
        return _("Mailed %(time)s to %(who)s.") % words
    return _("Mail to %(who)s is waiting to be sent.") % words
