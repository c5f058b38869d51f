"""The left navigation: each room adds its entries in its own ``navigation.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.functional import Promise

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

Count = tuple[int, str]  # number and tone ("", "warn", "bad")


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry. ``count`` gives a number and a tone, at one cheap query, or None for no badge."""

    label: str | Promise
    icon: str
    url_name: str
    group: str  # "" (top), "mail" or "end"
    order: int
    may_see: Callable[[AbstractBaseUser | AnonymousUser], bool]
    count: Callable[[AbstractBaseUser | AnonymousUser], Count | None] | None = None
    # The entry is current on every page whose path starts with its own.

    @property
    def url(self) -> str:
        """Where it leads."""
        return reverse(self.url_name)


_items: list[NavItem] = []


def register(item: NavItem) -> None:
    """Add an entry."""
    _items.append(item)
    _items.sort(key=lambda known: known.order)


def items_for(user: AbstractBaseUser | AnonymousUser) -> list[NavItem]:
    """Entries the user may see, in order."""
    return [item for item in _items if item.may_see(user)]
