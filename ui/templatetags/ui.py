"""Tags and filters of every page: ``{% load ui %}``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import template
from django.contrib.messages import constants
from django.forms import BaseForm, BoundField
from django.http import QueryDict
from django.template import Context
from django.templatetags.static import static
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ui import fields, formatting, layout

register = template.Library()

MESSAGE_TONES = {constants.SUCCESS: "ok", constants.ERROR: "bad", constants.WARNING: "warn"}
MESSAGE_ICONS = {"ok": "check", "bad": "alert", "warn": "alert", "hint": "info"}


@register.simple_tag
def icon(name: str, *, small: bool = False, label: str = "") -> SafeString:
    """An icon of the sprite; decoration unless it has a ``label``."""
    css = "icon icon-sm" if small else "icon"
    href = f"{static('icons.svg')}#{name}"
    if label:
        return format_html(
            '<svg class="{}" role="img" aria-label="{}"><use href="{}"/></svg>', css, label, href
        )
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}"/></svg>', css, href)


@register.simple_tag
def status(tone: str, label: str | Promise) -> SafeString:
    """A dot with its word. Tones: ok, warn, bad, hint, accent, off."""
    return format_html('<span class="status" data-tone="{}">{}</span>', tone, label)


@register.simple_tag
def time(value: dt.datetime | None, *, full: bool = False) -> SafeString | str:
    """A ``<time>`` with the exact moment as its title; "–" for None."""
    if value is None:
        return "–"
    exact = formatting.full_time(value)
    shown = exact if full else formatting.short_time(value)
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact, shown)


@register.filter
def when(value: dt.datetime | dt.date | None) -> str:
    """The shortest clear time: "07:41", "gestern 16:22", "24.11.2026"."""
    return formatting.short_time(value)


@register.filter
def moment(value: dt.datetime | None) -> str:
    """Date and time in full."""
    return formatting.full_time(value)


@register.filter
def bytes(value: int | None) -> str:  # noqa: A001  # the name templates use
    """A size: "1,8 MB"."""
    return formatting.size(value)


@register.filter
def number(value: int | float | Decimal | None) -> str:
    """A number with thousands separated."""
    return formatting.number(value)


@register.filter
def initials(name: str) -> str:
    """Up to two letters for an avatar: "Jana Petersen" → "JP"."""
    words = str(name).replace("@", " ").replace(".", " ").split()
    chosen = words[:1] + words[-1:] if len(words) > 1 else words
    return "".join(word[0] for word in chosen).upper() or "?"


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: Any) -> str:
    """The current query string with ``changes`` (None or "" removes), starting with "?".

    The paging position and the export format belong to the old query and are dropped unless named.
    """
    params: QueryDict = context["request"].GET.copy()
    for name in {"cursor", "format"} | {name for name, value in changes.items() if value in (None, "")}:
        params.pop(name, None)
    for name, value in changes.items():
        if value not in (None, ""):
            params[name] = str(value)
    return f"?{params.urlencode()}"


@register.inclusion_tag("ui/_sort_head.html", takes_context=True)
def sort_head(context: Context, name: str, label: str | Promise, css: str = "") -> dict[str, Any]:
    """A table head that sorts a :class:`ui.views.ListPage` by ``name``, first ascending, then descending."""
    current = str(context.get("sort") or "")
    direction = {name: "ascending", f"-{name}": "descending"}.get(current, "")
    target = f"-{name}" if direction == "ascending" else name
    return {"label": label, "css": css, "direction": direction, "href": query(context, sort=target)}


@register.inclusion_tag("ui/_field.html")
def field(bound: BoundField, *, label: str | Promise = "", placeholder: str = "") -> dict[str, Any]:
    """A field with its label above, help and errors below, tied together for screen readers."""
    return fields.context_of(bound, label=label, placeholder=placeholder)


@register.inclusion_tag("ui/_form_fields.html")
def form_fields(form: BaseForm) -> dict[str, Any]:
    """All of a form: its errors, hidden fields and fieldsets (see :mod:`ui.layout`)."""
    return {"form": form, "groups": layout.groups_of(form)}


@register.inclusion_tag("ui/_form_errors.html")
def form_errors(form: BaseForm) -> dict[str, Any]:
    """What is wrong with the form as a whole, announced and focused."""
    return {"form": form}


@register.filter
def is_switch_block(block: object) -> bool:
    """Whether a block of a fieldset is a switch with what it reveals."""
    return isinstance(block, layout.SwitchCell)


@register.filter
def row_cells(form: BaseForm) -> list[layout.Cell]:
    """The cells of one row of a formset, without the box that removes it."""
    groups = layout.groups_of(form)
    blocks = [block for group in groups for block in group.blocks if isinstance(block, list)]
    return [cell for block in blocks for cell in block if cell.field.name != "DELETE"]


@register.filter
def leads_to(navigation: Mapping[str, list[dict[str, Any]]], url_name: str) -> bool:
    """Whether the reader's navigation has an entry for ``url_name``: what it lacks would answer 403."""
    entries = [entry for group in navigation.values() for entry in group]
    return any(entry["item"].url_name == url_name for entry in entries)


@register.filter
def message_tone(level: int) -> str:
    """The tone of a Django message."""
    return MESSAGE_TONES.get(level, "hint")


@register.filter
def message_icon(level: int) -> str:
    """The icon of a Django message."""
    return MESSAGE_ICONS[message_tone(level)]


@register.simple_tag
def optional_mark() -> SafeString:
    """The word behind the label of a field that may stay empty."""
    return format_html('<span class="muted">({})</span>', _("optional"))
