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
    recorded = entry.changes if isinstance(entry.changes, dict) else {}
    return [
        _change(selectors.field_label(entry.object_type, name), value) for name, value in recorded.items()
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
