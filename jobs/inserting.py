"""Inserting many rows in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Field, Model

from jobs.arrays import execute_with_arrays, unnested
from jobs.columns import read_column

# SQLite's limit for one statement since 3.32; arrays know none on PostgreSQL.
_MOST_VALUES = 30_000


def insert_rows(rows: Sequence[Model], *, ignore_conflicts: bool = False) -> None:
    """Insert ``rows``, all of one model, and give them their primary keys, unless conflicts are ignored.

    Like ``bulk_create``, but on PostgreSQL every column travels as one binary array: quoting, sending and
    parsing the values of 50 mails as SQL text costs more than storing them. Nor are 50 rows split for SQLite.
    """
    if not rows:
        return
    columns = _columns(rows[0])
    if ignore_conflicts:
        _insert(rows, columns, "ON CONFLICT DO NOTHING")
        return
    for row, (key,) in zip(rows, _insert(rows, columns, f"RETURNING {_pk(rows[0])}"), strict=True):
        _note_key(row, key)


def insert_missing(rows: Sequence[Model], *, unique: str) -> None:
    """Insert those of ``rows`` whose ``unique`` field is not in the table; all get their primary keys.

    Takes one statement where all are new, which is the rule. Two transactions that insert the same value at
    once meet on the index: the later one waits for the earlier, then finds its row.
    """
    if not rows:
        return
    columns = _columns(rows[0])
    name = next(_quoted(field) for field in columns if field.name == unique)
    ending = f"ON CONFLICT ({name}) DO NOTHING RETURNING {name}, {_pk(rows[0])}"
    keys = dict(_insert(rows, columns, ending))
    others = [value for row in rows if (value := getattr(row, unique)) not in keys]
    if others:
        known = type(rows[0])._default_manager.filter(**{f"{unique}__in": others})  # noqa: SLF001  # documented
        keys |= {_hashable(value): key for value, key in known.values_list(unique, "pk")}
    for row in rows:
        _note_key(row, keys[getattr(row, unique)])


def _columns(row: Model) -> list[Field[Any, Any]]:
    return [field for field in row._meta.concrete_fields if not field.primary_key]  # noqa: SLF001  # documented


def _pk(row: Model) -> str:
    return _quoted(row._meta.pk)  # noqa: SLF001  # Django documents it as public


def _quoted(field: Field[Any, Any]) -> str:
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(str(field.column))


def _insert(rows: Sequence[Model], columns: list[Field[Any, Any]], ending: str) -> list[tuple[Any, ...]]:
    """Insert in as few statements as the database takes; what ``ending`` returns, in order of the rows."""
    step = max(1, _MOST_VALUES // len(columns))
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(rows), step):
        found += _insert_some(rows[start : start + step], columns, ending)
    return found


def _insert_some(rows: Sequence[Model], columns: list[Field[Any, Any]], ending: str) -> list[tuple[Any, ...]]:
    database = connections[DEFAULT_DB_ALIAS]  # looked up once: the usual proxy would do so for every value
    values = [read_column(rows, field, database, add=True) for field in columns]
    table = database.ops.quote_name(rows[0]._meta.db_table)  # noqa: SLF001  # Django documents it as public
    statement = f"INSERT INTO {table} ({', '.join(map(_quoted, columns))})"
    if database.vendor == "postgresql":
        source = f"SELECT * FROM {unnested(columns, database)}"  # noqa: S608  # types from the model
        return execute_with_arrays(database, f"{statement} {source} {ending}", values)
    source = "VALUES " + ", ".join([f"({', '.join(['%s'] * len(columns))})"] * len(rows))
    with database.cursor() as cursor:
        values_by_row = [value for row in zip(*values, strict=True) for value in row]
        cursor.execute(f"{statement} {source} {ending}", values_by_row)
        return list(cursor.fetchall())


def _note_key(row: Model, key: Any) -> None:
    row.pk = key
    state = row._state  # noqa: SLF001  # as bulk_create does, so that a later save() is an UPDATE
    state.adding, state.db = False, DEFAULT_DB_ALIAS


def _hashable(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
