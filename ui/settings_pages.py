"""The index of settings: each room adds its pages in its own ``navigation.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.functional import Promise

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """One page of settings, shown to those who may open it."""

    label: str | Promise
    description: str | Promise
    icon: str
    url_name: str
    order: int
    may_see: Callable[[AbstractBaseUser | AnonymousUser], bool]

    @property
    def url(self) -> str:
        """Where it leads."""
        return reverse(self.url_name)


_pages: list[SettingsPage] = []


def register(page: SettingsPage) -> None:
    """Add a page."""
    _pages.append(page)
    _pages.sort(key=lambda known: known.order)


def pages_for(user: AbstractBaseUser | AnonymousUser) -> list[SettingsPage]:
    """Pages the user may open, in order."""
    return [page for page in _pages if page.may_see(user)]


def covers(path: str) -> bool:
    """Whether ``path`` lies on a page of settings, so that the navigation marks *Settings* as current."""
    return any(path.startswith(page.url) for page in _pages)
