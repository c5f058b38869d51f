"""The table of reliability.md §5: every URL of the project × every role, generated from one row a URL.

A room adds its rows in ``tests/web/table_<room>.py`` as ``ROWS``. A URL pattern without a row is a failing
test, and so is a row without a pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver, reverse

# "owner" has no role, only a mailbox of their own; "nobody" has not even that.
ROLES = ("anon", "nobody", "owner", "staff", "agent", "auditor", "mail_administrator", "superuser")
TO_LOGIN = 302
OK, REFUSED, MISSING, NOT_THIS_WAY = 200, 403, 404, 405


@dataclass
class World:
    """What rows build their URLs from; a room's fixture puts its objects into ``things``."""

    users: dict[str, User | None]
    things: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.things[name]


@dataclass(frozen=True)
class Row:
    """What one URL answers to whom.

    ``ok`` names the roles let in, ``missing`` those for whom it does not exist.

    All other signed-in roles are refused (403); visitors are sent to the login unless ``public``. ``answer``
    is what those let in get. ``args`` builds the URL's arguments. POST-only URLs say ``method="post"``: then
    a GET by those let in is answered 405, and the POST is made with ``data``.
    """

    name: str
    ok: tuple[str, ...]
    args: Callable[[World], list[Any]] = lambda _world: []
    missing: tuple[str, ...] = ()
    answer: int = OK
    method: str = "get"
    data: Callable[[World], dict[str, Any]] = lambda _world: {}
    query: str = ""
    case: str = ""
    public: bool = False

    def url(self, world: World) -> str:
        """The URL for this world."""
        return reverse(self.name, args=self.args(world)) + self.query

    def expected(self, role: str) -> int:
        """The status ``role`` gets."""
        if role in self.ok or self.public:
            return self.answer
        if role == "anon":
            return TO_LOGIN
        return MISSING if role in self.missing else REFUSED

    @property
    def label(self) -> str:
        """Name of the test."""
        return " ".join(filter(None, [self.name, self.case, self.method if self.method != "get" else ""]))


EVERYBODY = tuple(role for role in ROLES if role != "anon")
ADMINISTRATORS = ("mail_administrator", "superuser")


def patterns(resolver: URLResolver | None = None, namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    """All URL patterns of the project with their full names."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from patterns(entry, inner)
        else:
            yield f"{namespace}{entry.name}", entry
