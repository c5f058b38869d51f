"""The values of one column of many rows, as their database takes them."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, ForeignKey, Model

_TEXT: Final = frozenset({str, NoneType})
_NUMBER: Final = frozenset({int, NoneType})
# Values of these types go to the database as they are: preparing each of them costs more than sending them.
_PREPARED: Final = {
    "CharField": _TEXT,
    "TextField": _TEXT,
    "BooleanField": frozenset({bool, NoneType}),
    "BigAutoField": _NUMBER,
    "BigIntegerField": _NUMBER,
    "IntegerField": _NUMBER,
    "PositiveIntegerField": _NUMBER,
    "PositiveSmallIntegerField": _NUMBER,
}


def read_column(
    rows: Sequence[Model], field: Field[Any, Any], database: BaseDatabaseWrapper, *, add: bool = False
) -> list[Any]:
    """The prepared values of ``field``; ``add`` lets it fill in what a new row gets (``auto_now_add``)."""
    if add and type(field).pre_save is not Field.pre_save:
        values = [field.pre_save(row, add=True) for row in rows]
    else:
        values = [getattr(row, str(field.attname)) for row in rows]
    stored = field.target_field if isinstance(field, ForeignKey) else field
    if _PREPARED.get(stored.get_internal_type(), frozenset()).issuperset(map(type, values)):
        return values
    return [field.get_db_prep_save(value, database) for value in values]
