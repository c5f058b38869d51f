"""Updating many rows to values of their own in one statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from jobs.arrays import execute_with_arrays, unnested
from jobs.columns import read_column


def update_rows(rows: Sequence[Model], fields: Collection[str]) -> None:
    """Write ``fields`` of ``rows``, all of one model, back to the database by primary key.

    Like ``bulk_update``, but joined with a list of values instead of a CASE for every row and column: a
    tenth of the time for 50 rows. Both databases know ``UPDATE … FROM`` (SQLite since 3.33).
    """
    if not rows:
        return
    meta = rows[0]._meta  # noqa: SLF001  # Django documents it as public
    fields_set = [field for name in fields if isinstance(field := meta.get_field(name), Field)]
    columns = [meta.pk, *fields_set]
    database = connections[DEFAULT_DB_ALIAS]  # looked up once: the usual proxy would do so for every value
    values = [read_column(rows, field, database) for field in columns]
    if database.vendor == "postgresql":
        source = f"SELECT * FROM {unnested(columns, database)}"  # noqa: S608  # types from the model
        execute_with_arrays(database, _statement(meta.db_table, columns, source, database), values)
    else:
        places = f"({', '.join(['%s'] * len(columns))})"
        statement = _statement(meta.db_table, columns, f"VALUES {', '.join([places] * len(rows))}", database)
        with database.cursor() as cursor:
            cursor.execute(statement, [value for row in zip(*values, strict=True) for value in row])


def _statement(
    table: str, columns: Sequence[Field[Any, Any]], source: str, database: BaseDatabaseWrapper
) -> str:
    quote = database.ops.quote_name
    key, *names = [quote(str(field.column)) for field in columns]
    changes = ", ".join(f"{name} = v.{name}" for name in names)
    return (
        f"WITH v ({', '.join([key, *names])}) AS ({source}) "  # noqa: S608  # names from the model
        f"UPDATE {quote(table)} SET {changes} FROM v WHERE {quote(table)}.{key} = v.{key}"
    )
