"""CSV for spreadsheets: semicolons and a byte order mark for Excel, no cell that starts a formula (B59)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.functional import Promise

# The wide forms count as the narrow ones in East Asian versions of Excel.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``value`` is an attribute path (``customer.name``) or takes the row."""

    label: str | Promise
    value: str | Callable[[Any], Any]

    def of(self, row: Any) -> str:
        """The cell as text, safe to open in a spreadsheet."""
        return neutralise(self.value(row) if callable(self.value) else _attribute(row, self.value))


def neutralise(value: Any) -> str:
    """Text for a cell; what a spreadsheet would run as a formula gets an apostrophe in front.

    Numbers and times pass unchanged: they cannot carry a formula.
    """
    if value is None:
        return ""
    if hasattr(value, "astimezone"):
        return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S")
    text = str(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    starts_formula = text.lstrip(" \u00a0\ufeff\u200b").startswith(_FORMULA_STARTS) or text.startswith(
        _FORMULA_STARTS
    )
    return f"'{text}" if starts_formula and not is_number else text


def csv_response(name: str, columns: Sequence[Column], rows: Iterable[Any]) -> StreamingHttpResponse:
    """Stream ``rows`` as ``name``.csv, so that a long list costs no memory."""
    response = StreamingHttpResponse(_lines(columns, rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


class _Echo:
    """A file for csv.writer that hands each line back."""

    def write(self, line: str) -> str:
        return line


def _lines(columns: Sequence[Column], rows: Iterable[Any]) -> Iterator[str]:
    writer = csv.writer(_Echo(), delimiter=";")
    yield "\ufeff"
    yield writer.writerow([str(column.label) for column in columns])
    for row in rows:
        yield writer.writerow([column.of(row) for column in columns])


def _attribute(row: Any, path: str) -> Any:
    for step in path.split("."):
        if row is None:
            return None
        row = getattr(row, step)
    return row() if callable(row) else row
