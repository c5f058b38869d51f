"""How one form field is drawn: which template part its widget needs, and its classes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.functional import Promise

# Order matters: a subclass stands before its base.
_KINDS: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.CheckboxSelectMultiple, "choices"),
    (forms.RadioSelect, "choices"),
    (forms.CheckboxInput, "switch"),
    (forms.Select, "select"),
)


def kind_of(bound: BoundField) -> str:
    """``choices`` (a group), ``switch``, ``select`` or ``text``."""
    widget = bound.field.widget
    return next((kind for base, kind in _KINDS if isinstance(widget, base)), "text")


def context_of(bound: BoundField, *, label: str | Promise = "", placeholder: str = "") -> dict[str, Any]:
    """What ``ui/_field.html`` shows of a bound field."""
    kind = kind_of(bound)
    return {
        "field": bound,
        "kind": kind,
        "label": label or bound.label,
        "widget": bound
        if kind == "choices"
        else bound.as_widget(attrs=_attributes(bound, kind, placeholder)),
        "is_optional": kind == "text" and not bound.field.required and not bound.field.disabled,
        "input_type": "checkbox" if isinstance(bound.field.widget, forms.CheckboxSelectMultiple) else "radio",
    }


def _attributes(bound: BoundField, kind: str, placeholder: str) -> dict[str, Any]:
    base = {"switch": "form-check-input", "select": "form-select"}.get(kind, "form-control")
    own = str(bound.field.widget.attrs.get("class", ""))
    attributes: dict[str, Any] = {
        "class": " ".join(filter(None, [base, own, "is-invalid" if bound.errors else ""]))
    }
    if kind == "switch":
        attributes["role"] = "switch"
    if placeholder:
        attributes["placeholder"] = placeholder
    return attributes
