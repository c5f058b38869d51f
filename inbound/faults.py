"""Telling a fault of the data, which would fail again, from one of the moment, which will not (R5)."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError

# SQLSTATE classes: connection, transaction rolled back, out of resources, operator intervention.
_TRANSIENT_CLASSES = ("08", "40", "53", "57")


def is_transient(error: BaseException) -> bool:
    """Whether the same work may well succeed at the next poll; such a fault never quarantines a message.

    A database error without SQLSTATE is a broken connection, or SQLite's "locked", "busy", "disk full".
    """
    if not isinstance(error, DatabaseError | InterfaceError):
        return isinstance(error, MemoryError)
    state = _sqlstate(error)
    if state:
        return state.startswith(_TRANSIENT_CLASSES)
    return isinstance(error, OperationalError | InterfaceError)


def _sqlstate(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        state = getattr(cause, "sqlstate", None)
        if state:
            return str(state)
        cause = cause.__cause__
    return ""
