"""Words for roles, models and recorded changes: ``{% load masterdata %}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import services as audit
from audit.models import AuditEntry
from masterdata import roles, selectors

register = template.Library()

_ACTIONS = {
    "created": gettext_lazy("created"),
    "changed": gettext_lazy("changed"),
    "deleted": gettext_lazy("deleted"),
    "password": gettext_lazy("password set"),
    "held": gettext_lazy("put on hold"),
    "resumed": gettext_lazy("polling resumed"),
    "retired": gettext_lazy("retired"),
    "reactivated": gettext_lazy("reactivated"),
    "confirmed": gettext_lazy("confirmed as the original"),
    "cancelled": gettext_lazy("delivery cancelled"),
    "copied_again": gettext_lazy("copied to the Sent folder again"),
    "dismissed": gettext_lazy("marked as done"),
    "sent_again": gettext_lazy("sent again"),
    "settled_as_arrived": gettext_lazy("settled as arrived"),
    "tried_now": gettext_lazy("tried at once"),
    "raw_read": gettext_lazy("original read"),
    "original_read": gettext_lazy("original read"),
    "read": gettext_lazy("read"),
    "discarded": gettext_lazy("discarded"),
    "read_anyway": gettext_lazy("read in spite of its limits"),
    "retried": gettext_lazy("tried again"),
    "imap": gettext_lazy("IMAP changed"),
    "smtp": gettext_lazy("SMTP changed"),
    "tickets": gettext_lazy("ticket system changed"),
    "employees": gettext_lazy("employees changed"),
    "autoresponder": gettext_lazy("autoresponder changed"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a recorded change."""

    name: str
    old: str
    new: str
    is_secret: bool = False

    @property
    def had_value(self) -> bool:
        """Whether there was something before."""
        return bool(self.old)


@register.filter
def role_label(name: str) -> str:
    """The role in the reader's language."""
    return str(roles.LABELS.get(name, name))


@register.filter
def model_label(name: str) -> str:
    """The kind of object in the reader's language."""
    return selectors.model_label(name) if name else _("System")


@register.filter
def action_label(action: str) -> str:
    """What was done, in words where there are any: "masterdata.project.changed" → "geändert"."""
    return str(_ACTIONS.get(action.rsplit(".", 1)[-1], action))


@register.filter
def changes(entry: AuditEntry) -> list[Change]:
    """Recorded changes as old and new text; secrets as the fact only; other details as they are."""
    section = entry.action.rpartition(".")[2]
    recorded = entry.changes if isinstance(entry.changes, dict) else {}
    return [
        _change(selectors.field_label(entry.object_type, name, section=section), value)
        for name, value in recorded.items()
    ]


def _change(name: str, value: Any) -> Change:
    if value == audit.SECRET:
        return Change(name, "", "", is_secret=True)
    if isinstance(value, list) and len(value) == 2:
        return Change(name, _text(value[0]), _text(value[1]))
    return Change(name, "", _text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return "; ".join(_text(item) for item in value)
    return "" if value is None else str(value)
