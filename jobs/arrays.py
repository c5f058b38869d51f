"""Many values for PostgreSQL: a binary array a column, bound by the server instead of quoted into the SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field


def unnested(fields: Sequence[Field[Any, Any]], database: BaseDatabaseWrapper) -> str:
    """The table function that turns the arrays of these columns into rows, with a placeholder for each."""
    return f"unnest({', '.join(f'%b::{field.rel_db_type(database)}[]' for field in fields)})"


def execute_with_arrays(
    database: BaseDatabaseWrapper, statement: str, columns: Sequence[list[Any]]
) -> list[tuple[Any, ...]]:
    """Run ``statement`` with an array for each ``%b`` and return its rows, if it has any.

    Django's own cursor quotes every value on the client; in everything else this one behaves the same.
    """
    database.ensure_connection()
    cursor = psycopg.Cursor(database.connection)
    make = database.make_debug_cursor if database.queries_logged else database.make_cursor
    with make(cursor) as wrapped:  # type: ignore[arg-type]  # the stubs know wrapped cursors only
        wrapped.execute(statement, [_plain(column) for column in columns])
        return wrapped.fetchall() if cursor.description else []


def _plain(column: list[Any]) -> list[Any]:
    """An array holds one type: members of TextChoices and marked-up strings are strings."""
    if not any(kind is not str and issubclass(kind, str) for kind in set(map(type, column))):
        return column
    return [str.__str__(value) if isinstance(value, str) else value for value in column]
