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
    # What the number counts, for those who hear the page: "open", "with an error".
    count_label: str | Promise = ""
    # Says on which further pages the entry is current; it always is where the path starts with its own.
    covers: Callable[[str], bool] | None = None

    @property
    def url(self) -> str:
        """Where it leads."""
        return reverse(self.url_name)

    def is_current(self, path: str) -> bool:
        """Whether the page at ``path`` belongs to this entry."""
        url = self.url
        return (
            path == url
            or (url != "/" and path.startswith(url))
            or (self.covers is not None and self.covers(path))
        )


_items: list[NavItem] = []


def register(item: NavItem) -> None:
    """Add an entry."""
    _items.append(item)
    _items.sort(key=lambda known: known.order)


def items_for(user: AbstractBaseUser | AnonymousUser) -> list[NavItem]:
    """Entries the user may see, in order."""
    return [item for item in _items if item.may_see(user)]
