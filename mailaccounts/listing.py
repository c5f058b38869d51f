"""Rows of the list of accounts: annotated for sorting and filtering, and put into words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.fields.related_descriptors import ForwardOneToOneDescriptor
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.timezone import make_aware
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from jobs.models import Lease
from mailaccounts.health import LARGE_BACKLOG, HealthCard, State, health_card
from mailaccounts.models import MailAccount
from ui import formatting
from ui.sections import Section, account_sections

BAD, WARN, OK, OFF = 0, 1, 2, 3
_NEVER = make_aware(datetime(1970, 1, 2))  # noqa: DTZ001  # made aware at once; sorts before everything

STATE_LABELS: dict[State, str | Promise] = {
    "ok": _("In order"),
    "failing": _("Error"),
    "paused": _("Error"),
    "warning": _("Warning"),
    "backlog": _("Backlog"),
    "waiting": _("Not polled yet"),
    "on_hold": _("On hold"),
    "retired": _("Retired"),
    "send_only": _("Sends only"),
}

_IS_OFF = Q(retired_at__isnull=False) | Q(on_hold_since__isnull=False)
_HAS_WARNING = ~Q(health__warning_code="") & Q(health__isnull=False)
_RANK = Case(
    When(_IS_OFF, then=Value(OFF)),
    When(health__failing_since__isnull=False, then=Value(BAD)),
    When(_HAS_WARNING | Q(health__backlog__gte=LARGE_BACKLOG), then=Value(WARN)),
    default=Value(OK),
    output_field=IntegerField(),
)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account in words. ``detail`` is the sentence of the row below, for trouble and backlog."""

    account: MailAccount
    card: HealthCard
    label: str
    owners: str
    tasks: str
    next_poll: str
    is_polling: bool

    @property
    def polls(self) -> bool:
        """Whether backlog and last success mean anything."""
        return self.card.state not in {"send_only", "retired"}


def annotated(queryset: QuerySet[MailAccount]) -> QuerySet[MailAccount]:
    """Joined and annotated so that a list of any length costs a constant number of queries."""
    return (
        queryset.select_related("imap", "smtp", "health", *_option_relations())
        .prefetch_related("employee_links__employee__address")
        .annotate(
            rank=_RANK,
            lag=Coalesce("health__backlog", Value(0)),
            last_success=Coalesce("health__last_success_at", Value(_NEVER)),
        )
    )


def rows_of(accounts: Iterable[MailAccount]) -> list[AccountRow]:
    """The rows in words, at one query for who is being polled right now."""
    accounts = list(accounts)
    names = [account.lease_name for account in accounts]
    running = set(Lease.objects.filter(name__in=names, expires_at__gt=Now()).values_list("name", flat=True))
    return [_row(account, is_polling=account.lease_name in running) for account in accounts]


def next_poll(card: HealthCard, *, is_polling: bool = False) -> str:
    """When the account is polled next: "running", "in 12 s", "in 4 min", a time, or a dash."""
    if is_polling:
        return gettext("running")
    if card.next_poll_at is None:
        return gettext("now") if card.state == "waiting" else "–"
    seconds = round((card.next_poll_at - timezone.now()).total_seconds())
    if seconds <= 0:
        return gettext("now")
    if seconds < 90:
        return gettext("in %(count)d s") % {"count": seconds}
    return gettext("in %(count)d min") % {"count": round(seconds / 60)}


def last_check(accounts: QuerySet[MailAccount]) -> datetime | None:
    """When any of the accounts was last polled."""
    return (
        accounts.order_by("-health__last_attempt_at")
        .values_list("health__last_attempt_at", flat=True)
        .filter(health__last_attempt_at__isnull=False)
        .first()
    )


def backlog_sentence(count: int) -> str:
    """What a large backlog means."""
    words = ngettext(
        "%(count)s e-mail is still to be read in; it goes on by itself.",
        "%(count)s e-mails are still to be read in; it goes on by itself.",
        count,
    )
    return words % {"count": formatting.number(count)}


def owners_of(account: MailAccount) -> str:
    """Names of the employees of a personal account, or the word for a company account."""
    if account.kind == MailAccount.Kind.COMPANY:
        return str(account.get_kind_display())
    names = sorted(str(link.employee) for link in account.employee_links.all())
    return ", ".join(names) or gettext("nobody yet")


def _row(account: MailAccount, *, is_polling: bool) -> AccountRow:
    card = health_card(account)
    return AccountRow(
        account=account,
        card=card,
        label=str(STATE_LABELS[card.state]),
        owners=owners_of(account),
        tasks=" · ".join(
            str(section.label) for section in _working_sections() if section.is_on and section.is_on(account)
        ),
        next_poll=next_poll(card, is_polling=is_polling),
        is_polling=is_polling,
    )


def _working_sections() -> list[Section]:
    return [section for section in account_sections.sections if section.is_on is not None]


def _option_relations() -> list[str]:
    """Relations from the account to the options of all registered sections."""
    names = {_option_relation(section.form) for section in account_sections.sections}
    return sorted(names - {"", "imap", "smtp"})


def _option_relation(form: Any) -> str:
    """Name of the account's relation to a form's model, "" where there is no such one."""
    link = getattr(getattr(getattr(form, "Meta", None), "model", None), "account", None)
    if not isinstance(link, ForwardOneToOneDescriptor):
        return ""
    return str(link.field.remote_field.get_accessor_name())
