"""Keyset paging: the thousandth page costs as much as the first (performance.md P8)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core import signing
from django.db.models import Model, Q, QuerySet

_SALT = "ui.paging"


@dataclass(frozen=True, slots=True)
class KeysetPage:
    """One page of rows; a cursor is None where there is nothing in that direction."""

    items: list[Any]
    next_cursor: str | None
    previous_cursor: str | None

    @property
    def has_other_pages(self) -> bool:
        """Whether the reader needs buttons at all."""
        return bool(self.next_cursor or self.previous_cursor)


@dataclass(frozen=True, slots=True)
class _Cursor:
    values: list[Any]
    is_backward: bool


def keyset_page(
    queryset: QuerySet[Any], ordering: Sequence[str], cursor: str | None, size: int
) -> KeysetPage:
    """Return the page that begins at ``cursor`` (the first page without one, or with one that is not ours).

    ``ordering`` holds field names, ``-`` for descending, ``__`` across relations; none may be null (annotate
    a ``Coalesce`` where one can be) and the last one must be unique, else rows that compare equal would be
    skipped. Costs one query; there is no COUNT.
    """
    position = _decode(cursor, ordering)
    backward = position is not None and position.is_backward
    effective = [_reverse(name) for name in ordering] if backward else list(ordering)
    rows = queryset.order_by(*effective)
    if position is not None:
        rows = rows.filter(_beyond(effective, position.values))
    found = list(rows[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if backward:
        found.reverse()
    return _page(
        found,
        ordering,
        has_next=has_more or backward,
        has_previous=has_more if backward else position is not None,
    )


def _page(items: list[Any], ordering: Sequence[str], *, has_next: bool, has_previous: bool) -> KeysetPage:
    return KeysetPage(
        items,
        _encode(items[-1], ordering, is_backward=False) if items and has_next else None,
        _encode(items[0], ordering, is_backward=True) if items and has_previous else None,
    )


def _beyond(ordering: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows after ``values``: (a, b) > (x, y), written so that every database uses an index on (a, b)."""
    condition = Q()
    for name, value in reversed(list(zip(ordering, values, strict=True))):
        field, operator = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        strictly = Q(**{f"{field}__{operator}": value})
        condition = Q(**{f"{field}__{operator}e": value}) & (strictly | condition) if condition else strictly
    return condition


def _reverse(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _encode(row: Any, ordering: Sequence[str], *, is_backward: bool) -> str:
    values = [_tag(_value(row, name.removeprefix("-"))) for name in ordering]
    return signing.dumps([",".join(ordering), is_backward, values], salt=_SALT, compress=True)


def _decode(cursor: str | None, ordering: Sequence[str]) -> _Cursor | None:
    """Open a cursor; it is signed, so that nobody can make the database compare what does not compare."""
    if not cursor:
        return None
    try:
        made_for, is_backward, values = signing.loads(cursor, salt=_SALT)
    except signing.BadSignature:
        return None
    if made_for != ",".join(ordering):
        return None
    return _Cursor([_untag(value) for value in values], bool(is_backward))


def _value(row: Any, path: str) -> Any:
    for step in path.split("__"):
        row = row[step] if isinstance(row, dict) else getattr(row, step)
    return row.pk if isinstance(row, Model) else row


def _tag(value: Any) -> Any:
    """JSON knows neither times nor decimals."""
    if isinstance(value, dt.datetime):
        return ["t", value.isoformat()]
    if isinstance(value, dt.date):
        return ["d", value.isoformat()]
    if isinstance(value, Decimal):
        return ["n", str(value)]
    return value if isinstance(value, bool | int | float) else str(value)


def _untag(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, text = value
    readers: dict[str, Callable[[str], Any]] = {
        "t": dt.datetime.fromisoformat,
        "d": dt.date.fromisoformat,
        "n": Decimal,
    }
    return readers[kind](text)
