"""Filters of a list: segments with counts, or a select; both live in the URL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.functional import Promise


@dataclass(frozen=True, slots=True)
class Option:
    """One choice. ``condition`` narrows the list; ``tone`` gives the segment its dot."""

    value: str
    label: str | Promise
    condition: Q = field(default_factory=Q)
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Segments:
    """A choice among few states. The option with value "" is the default and usually has no condition.

    With ``counts`` each segment shows its number, at one aggregate query for all of them.
    """

    name: str
    label: str | Promise
    options: tuple[Option, ...]
    counts: bool = False
    is_segmented = True

    def options_for(self, _request: HttpRequest) -> list[Option]:
        """The choices."""
        return list(self.options)


@dataclass(frozen=True, slots=True)
class Choices:
    """A select. ``options`` gives pairs of value and label; ``lookup`` is what the value must equal.

    The first entry ``all_label`` stands for no filter. A value that is not among the options is ignored.
    """

    name: str
    label: str | Promise
    all_label: str | Promise
    options: Callable[[HttpRequest], Iterable[tuple[Any, str | Promise]]]
    lookup: str
    counts: bool = False
    is_segmented = False

    def options_for(self, request: HttpRequest) -> list[Option]:
        """The choices, the first of which filters nothing."""
        found = [
            Option(str(value), label, Q(**{self.lookup: value})) for value, label in self.options(request)
        ]
        return [Option("", self.all_label), *found]


Filter = Segments | Choices


@dataclass(frozen=True, slots=True)
class ShownOption:
    """An option as the template shows it."""

    value: str
    label: str | Promise
    tone: str
    href: str
    is_current: bool
    count: int | None


class BoundFilter:
    """A filter with the value the URL gives it."""

    def __init__(self, definition: Filter, request: HttpRequest) -> None:
        self.definition = definition
        self.name = definition.name
        self.label = definition.label
        self.is_segmented = definition.is_segmented
        self._request = request
        self._options = definition.options_for(request)
        asked = request.GET.get(definition.name, "")
        self.chosen = next((o for o in self._options if o.value == asked), self._options[0])
        self._counts: dict[str, int] = {}

    @property
    def value(self) -> str:
        """The chosen value; "" for the default."""
        return self.chosen.value

    @property
    def is_narrowing(self) -> bool:
        """Whether the reader chose something else than the default."""
        return self.chosen is not self._options[0]

    def apply(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen option."""
        return queryset.filter(self.chosen.condition) if self.chosen.condition else queryset

    def count(self, count_by: Callable[[dict[str, Q]], dict[str, int]]) -> None:
        """Fill in the numbers, when this filter shows any."""
        if self.definition.counts:
            self._counts = count_by({option.value: option.condition for option in self._options})

    @property
    def options(self) -> list[ShownOption]:
        """The options for the template."""
        return [
            ShownOption(
                o.value, o.label, o.tone, self._href(o.value), o is self.chosen, self._counts.get(o.value)
            )
            for o in self._options
        ]

    def _href(self, value: str) -> str:
        params: QueryDict = self._request.GET.copy()
        for name in ("cursor", "format", self.name):
            params.pop(name, None)
        if value:
            params[self.name] = value
        return f"?{params.urlencode()}"
