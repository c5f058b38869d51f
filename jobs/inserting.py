"""Inserting many rows in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from jobs.arrays import execute_with_arrays, unnested

# SQLite's limit for one statement since 3.32; arrays know none on PostgreSQL.
_MOST_VALUES = 30_000


def insert_rows(rows: Sequence[Model], *, ignore_conflicts: bool = False) -> None:
    """Insert ``rows``, all of one model, and give them their primary keys, unless conflicts are ignored.

    Like ``bulk_create``, but on PostgreSQL every column travels as one binary array: quoting, sending and
    parsing the values of 50 mails as SQL text costs more than storing them. Nor are 50 rows split for SQLite.
    """
    if not rows:
        return
    meta = rows[0]._meta  # noqa: SLF001  # Django documents it as public
    columns = [field for field in meta.concrete_fields if not field.primary_key]
    step = max(1, _MOST_VALUES // len(columns))
    for start in range(0, len(rows), step):
        _insert(rows[start : start + step], columns, ignore_conflicts=ignore_conflicts)


def _insert(rows: Sequence[Model], columns: list[Field[Any, Any]], *, ignore_conflicts: bool) -> None:
    database = connections[DEFAULT_DB_ALIAS]  # looked up once: the usual proxy would do so for every value
    values = [[_new_value(row, field, database) for row in rows] for field in columns]
    statement = _statement(rows, columns, database, ignore_conflicts=ignore_conflicts)
    if database.vendor == "postgresql":
        found = execute_with_arrays(database, statement, values)
    else:
        with database.cursor() as cursor:
            cursor.execute(statement, [value for row in zip(*values, strict=True) for value in row])
            found = cursor.fetchall()
    for row, (key,) in zip(rows, () if ignore_conflicts else found, strict=False):
        row.pk = key
        state = row._state  # noqa: SLF001  # as bulk_create does, so that a later save() is an UPDATE
        state.adding, state.db = False, database.alias


def _statement(
    rows: Sequence[Model],
    columns: list[Field[Any, Any]],
    database: BaseDatabaseWrapper,
    *,
    ignore_conflicts: bool,
) -> str:
    meta, quote = rows[0]._meta, database.ops.quote_name  # noqa: SLF001  # Django documents it as public
    names = ", ".join(quote(str(field.column)) for field in columns)
    if database.vendor == "postgresql":
        source = f"SELECT * FROM {unnested(columns, database)}"  # noqa: S608  # types from the model
    else:
        source = "VALUES " + ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
    ending = "ON CONFLICT DO NOTHING" if ignore_conflicts else f"RETURNING {quote(str(meta.pk.column))}"
    table = quote(meta.db_table)
    return f"INSERT INTO {table} ({names}) {source} {ending}"


def _new_value(row: Model, field: Field[Any, Any], database: BaseDatabaseWrapper) -> Any:
    return field.get_db_prep_save(field.pre_save(row, add=True), database)
