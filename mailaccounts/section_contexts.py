"""What the tabs of an account show besides their forms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from audit.models import AuditEntry
from audit.services import SECRET
from mailaccounts.diagnosis import Explanation, explain
from mailaccounts.models import ConnectionEvent, MailAccount, SmtpSettings
from ui import formatting
from ui.sections import account_sections

if TYPE_CHECKING:
    from django.http import HttpRequest

SHOWN = 50

_ACTIONS: dict[str, str | Promise] = {
    "account.created": _("Account created"),
    "account.retired": _("Account retired"),
    "account.reactivated": _("Account reactivated"),
    "account.held": _("Polling put on hold"),
    "account.oauth_connected": _("Connected with the provider"),
    "account.oauth_disconnected": _("Disconnected from the provider"),
    "account.resumed": _("Polling resumed"),
}
_EVENT_TONES = {
    ConnectionEvent.Kind.FAILED: "bad",
    ConnectionEvent.Kind.PAUSED: "bad",
    ConnectionEvent.Kind.WARNED: "warn",
    ConnectionEvent.Kind.RECOVERED: "ok",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of an audit entry. ``old`` and ``new`` are "" where the value is a secret."""

    label: str
    old: str
    new: str
    is_secret: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit entry in the reader's language."""

    at: datetime
    actor: str
    ip: str
    title: str
    reason: str
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class Event:
    """One connection event in the reader's language."""

    at: datetime
    title: str
    tone: str
    explanation: Explanation | None


def imap_context(_request: HttpRequest, account: MailAccount) -> dict[str, Any]:
    """Where the form can be tested, and who changed the section last."""
    return {
        "last_change": last_change(account, "section.imap"),
        "test_url": reverse("mailaccounts:test_imap", args=[account.pk]),
        "folders_url": reverse("mailaccounts:folders", args=[account.pk]),
        "preset_url": reverse("mailaccounts:preset", args=[account.pk]),
    }


def smtp_context(_request: HttpRequest, account: MailAccount) -> dict[str, Any]:
    """Whether a test mail can be sent, and who changed the section last."""
    smtp: SmtpSettings | None = getattr(account, "smtp", None)
    may_send = smtp is not None and smtp.is_enabled and not account.is_retired
    return {
        "last_change": last_change(account, "section.smtp"),
        "may_send_test_mail": may_send,
        "debug_until": smtp.debug_until if smtp else None,
    }


def log_context(_request: HttpRequest, account: MailAccount) -> dict[str, Any]:
    """The latest audit entries and connection events."""
    host = account.imap.host if hasattr(account, "imap") else ""
    events = account.connection_events.all()[: ConnectionEvent.KEPT]
    return {
        "entries": [_entry(row) for row in _entries(account)[:SHOWN]],
        "events": [_event(row, host) for row in events],
    }


def last_change(account: MailAccount, action: str) -> str:
    """One line: who changed it last, and when; "" where nobody did."""
    entry = _entries(account).filter(action=action).first()
    if entry is None:
        return ""
    words = {"name": entry.actor_label, "day": formatting.short_time(entry.at)}
    return gettext("Last changed by %(name)s, %(day)s") % words


def _entries(account: MailAccount) -> Any:
    rows = AuditEntry.objects.filter(object_type="mailaccounts.mailaccount", object_id=str(account.pk))
    return rows.order_by("-id")


def _entry(row: AuditEntry) -> Entry:
    labels = _labels(row.action)
    changes = [_change(labels.get(name, name), values) for name, values in row.changes.items()]
    return Entry(row.at, row.actor_label, row.ip or "", _title(row.action), row.reason, changes)


def _title(action: str) -> str:
    kind, _dot, slug = action.partition(".")
    section = account_sections.find(slug) if kind == "section" else None
    if section:
        return gettext("%(section)s changed") % {"section": section.label}
    return str(_ACTIONS.get(action, action))


def _labels(action: str) -> dict[str, str]:
    """Labels of a section's fields; a new account shows those of the section it was made with."""
    section = account_sections.find("imap" if action == "account.created" else action.partition(".")[2])
    fields = getattr(section.form, "base_fields", {}) if section else {}
    return {name: str(field.label or name) for name, field in fields.items()}


def _change(label: str, values: Any) -> Change:
    if values == SECRET:
        return Change(label, "", "", is_secret=True)
    old, new = values
    return Change(label, _plain(old), _plain(new), is_secret=False)


def _plain(value: Any) -> str:
    if value in (None, "", []):
        return "–"
    if isinstance(value, bool):
        return gettext("on") if value else gettext("off")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _event(row: ConnectionEvent, host: str) -> Event:
    kind = ConnectionEvent.Kind(row.kind)
    explanation = explain(row.code, row.detail, host=host) if row.code and kind != kind.RECOVERED else None
    return Event(row.at, str(kind.label), _EVENT_TONES[kind], explanation)
