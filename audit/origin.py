"""Who is acting and from where, for the length of one request or command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change comes from; ``ip`` is None outside requests."""

    ip: str | None = None


_NOWHERE = Origin()
_current: ContextVar[Origin] = ContextVar("audit_origin", default=_NOWHERE)


def current() -> Origin:
    """Origin of what runs now."""
    return _current.get()


@contextmanager
def acting_from(origin: Origin) -> Iterator[None]:
    """Attribute audit entries made inside to ``origin``."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)
