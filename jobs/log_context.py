"""What every log line of the present request or task bears: ``request_id``, ``task_id``, ``account_id``, …"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_fields: ContextVar[Mapping[str, Any]] = ContextVar("log_fields", default=_NOTHING)


def fields() -> Mapping[str, Any]:
    """Names and values of the present request or task; empty outside."""
    return _fields.get()


def bind(**values: Any) -> Token[Mapping[str, Any]]:
    """Add ``values`` until :func:`unbind` gets the token back, in the same thread."""
    return _fields.set({**_fields.get(), **values})


def unbind(token: Token[Mapping[str, Any]]) -> None:
    """Undo a :func:`bind`."""
    _fields.reset(token)


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Add ``values`` to every log line written inside."""
    token = bind(**values)
    try:
        yield
    finally:
        unbind(token)
