"""What happened with an address, told by the rooms above.

Each registers a source in its own ``timeline.py``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING

from django.utils.functional import Promise

from masterdata.models import Address

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line: when, what, where it leads. ``tone`` colours its dot (ok, warn, bad, hint, accent, off)."""

    at: dt.datetime
    title: str | Promise
    url: str = ""
    detail: str | Promise = ""
    tone: str = "off"


# (address, user, limit) → at most ``limit`` of the newest entries this user may see, in a constant number
# of queries.
Source = Callable[[Address, "AbstractBaseUser | AnonymousUser", int], Iterable[TimelineEntry]]

_sources: list[Source] = []


def register(source: Source) -> None:
    """Add a source."""
    _sources.append(source)


def entries(
    address: Address, user: AbstractBaseUser | AnonymousUser, *, limit: int = 20
) -> list[TimelineEntry]:
    """The newest entries of all sources, newest first."""
    found = (entry for source in _sources for entry in source(address, user, limit))
    return nlargest(limit, found, key=lambda entry: entry.at)
