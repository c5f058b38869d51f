"""Exceptions for logs: where and of what kind, without the values they carry.

An exception's message may quote what it stumbled over: a mail, an address, a password. PostgreSQL's DETAIL
holds whole rows. So the words of an exception are left out unless they are known to name no values.
"""

from __future__ import annotations

import sqlite3
import traceback

from mailkit.errors import MailError

# Faults of the program; their messages name types, attributes and modules.
_PROGRAM_FAULTS = (AttributeError, ImportError, NameError, TypeError)
_DATA_EXCEPTION = "22"  # SQLSTATE class whose messages quote the value
_LONGEST = 300


def describe(error: BaseException) -> str:
    """The exception's type, and its words where they are harmless, in one line."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    words = " ".join(_harmless_words(error).split())[:_LONGEST]
    return f"{name}: {words}" if words else name


def format_traceback(error: BaseException) -> str:
    """Frames and :func:`describe` of the exception and of those that led to it, the first one first."""
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        parts.append("".join(traceback.format_tb(link.__traceback__)) + describe(link))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\nwhich led to\n".join(reversed(parts))


def _harmless_words(error: BaseException) -> str:
    if isinstance(error, MailError):
        return error.code
    if isinstance(error, OSError):
        return f"[Errno {error.errno}] {error.strerror}" if error.errno is not None else ""
    if isinstance(error, (sqlite3.Error, *_PROGRAM_FAULTS)):
        return str(error)
    return _words_of_postgresql(error) if hasattr(error, "sqlstate") else ""


def _words_of_postgresql(error: BaseException) -> str:
    """What psycopg reports but for the detail, and for values in the message (SQLSTATE class 22)."""
    state = getattr(error, "sqlstate", None)
    message = getattr(getattr(error, "diag", None), "message_primary", None) or str(error).partition("\n")[0]
    if state is None:
        return message
    if state.startswith(_DATA_EXCEPTION):
        message = message.partition(":")[0].partition('"')[0]
    return f"[{state}] {message}"
