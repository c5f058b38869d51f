"""How a form lies on the page: fieldsets, widths on a grid of twelve, fields that appear with their switch.

A form names its layout as a class attribute::

    layout = (
        Fieldset(_("Account"), ("display_name", 6), ("email", 6), "description"),
        Fieldset(_("Sent mail"), Reveal("copies_sent", ("sent_folder", 8))),
    )

Fields that no fieldset names follow at the end, so that none is ever lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.forms import BaseForm, BoundField
from django.utils.functional import Promise


class Reveal:
    """A switch and the fields that appear while it is on; they are submitted either way."""

    def __init__(self, switch: str, *items: str | tuple[str, int]) -> None:
        self.switch = switch
        self.items = items


class Fieldset:
    """A titled group of fields. ``help`` is one line below the title."""

    def __init__(
        self,
        legend: str | Promise,
        *items: str | tuple[str, int] | Reveal,
        help: str | Promise = "",  # noqa: A002  # reads best at the place of use
    ) -> None:
        self.legend = legend
        self.items = items
        self.help = help


@dataclass(frozen=True, slots=True)
class Cell:
    """A bound field and its width in twelfths (3, 4, 6, 8, 9 or 12)."""

    field: BoundField
    width: int = 12


@dataclass(frozen=True, slots=True)
class SwitchCell:
    """A bound switch and the cells it reveals."""

    switch: BoundField
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Group:
    """A fieldset ready for the template: runs of cells, broken by switches."""

    legend: str | Promise
    help: str | Promise
    blocks: list[list[Cell] | SwitchCell]


def groups_of(form: BaseForm) -> list[Group]:
    """The form's visible fields by its layout."""
    layout: Sequence[Fieldset] = getattr(form, "layout", ())
    groups = [_group(form, fieldset) for fieldset in layout]
    named = {name for fieldset in layout for name in _names(fieldset.items)}
    rest = [name for name in form.fields if name not in named and not form[name].is_hidden]
    if rest:
        groups.append(_group(form, Fieldset("", *rest)))
    return [group for group in groups if group.blocks]


def _group(form: BaseForm, fieldset: Fieldset) -> Group:
    blocks: list[list[Cell] | SwitchCell] = []
    for item in fieldset.items:
        if isinstance(item, Reveal):
            if item.switch in form.fields:
                blocks.append(SwitchCell(form[item.switch], list(_cells(form, item.items))))
            continue
        cells = list(_cells(form, [item]))
        if blocks and isinstance(blocks[-1], list):
            blocks[-1].extend(cells)
        elif cells:
            blocks.append(cells)
    return Group(fieldset.legend, fieldset.help, blocks)


def _cells(form: BaseForm, items: Sequence[str | tuple[str, int]]) -> Iterator[Cell]:
    """Cells of the fields the form has; a form may drop a field that this user may not set."""
    for item in items:
        name, width = (item, 12) if isinstance(item, str) else item
        if name in form.fields and not form[name].is_hidden:
            yield Cell(form[name], width)


def _names(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Reveal):
            yield item.switch
            yield from _names(item.items)
        else:
            yield item if isinstance(item, str) else item[0]
