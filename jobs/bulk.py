"""Updating many rows to values of their own in one statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model


def update_rows(rows: Sequence[Model], fields: Collection[str]) -> None:
    """Write ``fields`` of ``rows``, all of one model, back to the database by primary key.

    Like ``bulk_update``, but joined with a list of values instead of a CASE for every row and column: a
    tenth of the time for 50 rows. Both databases know ``UPDATE … FROM`` (SQLite since 3.33).
    """
    if not rows:
        return
    meta = rows[0]._meta  # noqa: SLF001  # Django documents it as public
    columns = [field for name in fields if isinstance(field := meta.get_field(name), Field)]
    key = meta.pk
    sql = _statement(meta.db_table, key, columns, len(rows))
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for row in rows for value in _values(row, [key, *columns])])


def _statement(table: str, key: Field[Any, Any], columns: list[Field[Any, Any]], count: int) -> str:
    quote = connection.ops.quote_name
    names = [quote(str(field.column)) for field in (key, *columns)]
    places = f"({', '.join(['%s'] * len(names))})"
    # PostgreSQL takes the types of the whole list from its first row.
    first = f"({', '.join(_typed(field) for field in (key, *columns))})"
    values = ", ".join([first, *[places] * (count - 1)])
    changes = ", ".join(f"{name} = v.{name}" for name in names[1:])
    return (
        f"WITH v ({', '.join(names)}) AS (VALUES {values}) "  # noqa: S608  # names from the model, values bound
        f"UPDATE {quote(table)} SET {changes} FROM v WHERE {quote(table)}.{names[0]} = v.{names[0]}"
    )


def _typed(field: Field[Any, Any]) -> str:
    return "%s" if connection.vendor == "sqlite" else f"%s::{field.rel_db_type(connection)}"


def _values(row: Model, fields: list[Field[Any, Any]]) -> list[Any]:
    return [field.get_db_prep_save(getattr(row, str(field.attname)), connection) for field in fields]
