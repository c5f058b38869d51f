"""The generic list: search, filters and sorting in the URL, keyset paging, CSV, live fragments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ui import formatting
from ui.conditional import not_modified_or
from ui.csv_export import Column, csv_response
from ui.paging import keyset_page
from ui.views.base import PageMixin
from ui.views.filters import BoundFilter, Filter

COUNT_LIMIT = 10_000
MAX_SEARCH_LENGTH = 200


class ListPage(PageMixin):
    """A list of objects. The table template shows ``rows``; everything else has a default.

    Attributes: ``queryset`` (or ``get_queryset``, scoped to ``self.user``), ``table_template``, ``sorts``
    (name in the URL → ordering whose last field is unique and none of which is null), ``default_sort``,
    ``search_fields`` (lookups) or ``search``, ``filters``, ``csv_columns``, ``page_size``,
    ``refresh_seconds`` (htmx polling with ETag), ``empty_*``, ``create_url``/``create_label``.

    htmx gets the table alone; ``?format=csv`` all matching rows.
    """

    template_name = "ui/list.html"
    fragment_template = "ui/_list.html"
    table_template = ""
    foot_template = ""
    queryset: QuerySet[Any] | None = None
    sorts: Mapping[str, Sequence[str]] = {}
    default_sort = ""
    page_size = 50
    search_fields: Sequence[str] = ()
    search_placeholder: str | Promise = ""
    filters: Sequence[Filter] = ()
    csv_columns: Sequence[Column] = ()
    csv_name = "export"
    refresh_seconds: int | None = None
    shows_count = True
    empty_icon = "inbox"
    empty_title: str | Promise = ""
    empty_text: str | Promise = ""
    create_label: str | Promise = ""

    def get_queryset(self) -> QuerySet[Any]:
        """The rows this user may see, with what the table needs joined in (templates never query)."""
        if self.queryset is None:
            raise ImproperlyConfigured(f"{type(self).__name__} needs a queryset")
        return self.queryset.all()

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Rows in which every word of ``text`` occurs in one of ``search_fields``."""
        for word in text.split():
            queryset = queryset.filter(_any_of(self.search_fields, word))
        return queryset

    def get_create_url(self) -> str:
        """Where the button for a new object leads; "" for no button (or no right to it)."""
        return ""

    def get_extra_rows_context(self, rows: list[Any]) -> dict[str, Any]:  # noqa: ARG002  # for subclasses
        """More context for the table, computed for the rows of the page at a constant number of queries."""
        return {}

    def get(self, request: HttpRequest, /, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """The page, its table alone (htmx), or all of it as CSV."""
        bound = [BoundFilter(definition, request) for definition in self.filters]
        text = self.search_text
        base = self.get_queryset()
        found = self.search(base, text) if text else base
        narrowed = found
        for chosen in bound:
            narrowed = chosen.apply(narrowed)
        if request.GET.get("format") == "csv" and self.csv_columns:
            return csv_response(self.csv_name, self.csv_columns, self._csv_rows(narrowed))
        context = self._list_context(narrowed, bound)
        if request.headers.get("HX-Request"):
            return not_modified_or(request, self._rendered(**context))
        self._count_options(found, bound)
        return self.render(**context)

    @property
    def search_text(self) -> str:
        """What the reader searches for; NUL bytes would be refused by PostgreSQL."""
        return self.request.GET.get("q", "").replace("\0", "").strip()[:MAX_SEARCH_LENGTH]

    @property
    def sort(self) -> str:
        """The sorting in force: a name of ``sorts``, ``-`` in front for the reverse."""
        asked = self.request.GET.get("sort", "")
        return asked if asked.removeprefix("-") in self.sorts else self.default_sort

    def get_ordering(self) -> list[str]:
        """Field names of the sorting in force."""
        fields = self.sorts[self.sort.removeprefix("-")]
        return [_reversed(name) for name in fields] if self.sort.startswith("-") else list(fields)

    def count_text(self, count: int) -> str:
        """How many there are, in words; override to name them."""
        return ngettext("%(count)s entry", "%(count)s entries", count) % {"count": formatting.number(count)}

    def _list_context(self, queryset: QuerySet[Any], bound: list[BoundFilter]) -> dict[str, Any]:
        page = keyset_page(queryset, self.get_ordering(), self.request.GET.get("cursor"), self.page_size)
        return {
            "rows": page.items,
            "page": page,
            "sort": self.sort,
            "sort_in_url": self.request.GET.get("sort", "") if self.sort != self.default_sort else "",
            "filters": bound,
            "search_text": self.search_text,
            "is_narrowed": bool(self.search_text) or any(chosen.is_narrowing for chosen in bound),
            "count_text": self._counted(queryset, page.items, has_more=page.has_other_pages),
            **self.get_extra_rows_context(page.items),
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds what the list templates show of the view itself."""
        names = ("table_template", "foot_template", "search_placeholder", "refresh_seconds", "create_label")
        empty = {name: getattr(self, name) for name in ("empty_icon", "empty_title", "empty_text")}
        own = {name: getattr(self, name) for name in names} | empty
        csv = {"csv_url": self._csv_url() if self.csv_columns else "", "create_url": self.get_create_url()}
        return super().get_context_data(**own, **csv, **kwargs)

    def _counted(self, queryset: QuerySet[Any], items: list[Any], *, has_more: bool) -> str:
        if not self.shows_count:
            return ""
        if not has_more:
            return self.count_text(len(items))
        # Counting a million rows costs more than showing fifty: beyond the limit it is "more than".
        count = queryset.order_by()[: COUNT_LIMIT + 1].count()
        if count > COUNT_LIMIT:
            return _("more than %(count)s") % {"count": self.count_text(COUNT_LIMIT)}
        return self.count_text(count)

    def _count_options(self, queryset: QuerySet[Any], bound: list[BoundFilter]) -> None:
        """Numbers of each filter's options under the search and the *other* filters."""
        for target in bound:
            others = queryset
            for other in bound:
                others = others if other is target else other.apply(others)
            target.count(lambda conditions, rows=others: _count_by(rows, conditions))  # type: ignore[misc]  # default binds the loop variable

    def _rendered(self, **context: Any) -> HttpResponse:
        response = self.render(template=self.fragment_template, **context)
        return response.render() if hasattr(response, "render") else response

    def _csv_rows(self, queryset: QuerySet[Any]) -> Iterable[Any]:
        return queryset.order_by(*self.get_ordering()).iterator(chunk_size=500)

    def _csv_url(self) -> str:
        params = self.request.GET.copy()
        params.pop("cursor", None)
        params["format"] = "csv"
        return f"?{params.urlencode()}"


def _any_of(fields: Sequence[str], word: str) -> Q:
    condition = Q()
    for name in fields:
        condition |= Q(**{name: word})
    return condition


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _count_by(queryset: QuerySet[Any], conditions: Mapping[str, Q]) -> dict[str, int]:
    """One aggregate for all options; the aliases are positions because values may be any text."""
    aliases = {f"option_{position}": condition for position, condition in enumerate(conditions.values())}
    counts = queryset.order_by().aggregate(
        **{
            alias: Count("pk", filter=condition, distinct=True) if condition else Count("pk", distinct=True)
            for alias, condition in aliases.items()
        }
    )
    return {value: counts[f"option_{position}"] for position, value in enumerate(conditions)}
