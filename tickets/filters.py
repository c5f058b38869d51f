"""Filters and search of the ticket list: parsed from the URL, so that every view of it can be shared.

Unknown or foreign values in the URL fall back to the default instead of failing: an old bookmark still opens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Q
from django.http import QueryDict

from tickets.models import Participant, Ticket, TicketQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

OPEN = "open_all"
ALL = "all"
ME = "me"
NOBODY = "nobody"
# Words are looked for in this many of the newest tickets; numbers and addresses in all of them, by index.
SEARCH_WINDOW = 20_000
MAX_WORDS = 6
WHOLE_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
TEXT_FIELDS = ("subject", "requester_name", "requester_address", "customer__name")


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """What the list is narrowed to. ``None`` and "" mean: not narrowed."""

    state: str = OPEN
    queue: int | None = None
    assignee: str = ""
    priority: int | None = None
    customer: int | None = None
    query: str = ""

    @classmethod
    def from_url(cls, parameters: QueryDict) -> TicketFilter:
        """Read the filter from a query string. A search without a named state covers every state."""
        query = parameters.get("q", "").replace("\x00", "").strip()[:200]
        state = parameters.get("state", "")
        return cls(
            state=state if state in {OPEN, ALL, *Ticket.State.values} else (ALL if query else OPEN),
            queue=_positive(parameters.get("queue")),
            assignee=_assignee(parameters.get("assignee", "")),
            priority=_positive(parameters.get("priority")),
            customer=_positive(parameters.get("customer")),
            query=query,
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether anything beyond the state is filtered."""
        return bool(self.queue or self.assignee or self.priority or self.customer or self.query)

    def narrow(self, tickets: TicketQuerySet, user: AbstractBaseUser | AnonymousUser) -> TicketQuerySet:
        """Apply everything but search and order."""
        if self.state == OPEN:
            tickets = tickets.open()
        elif self.state != ALL:
            tickets = tickets.filter(state=self.state)
        return self._assigned(tickets.filter(**self._equalities()), user)

    def _equalities(self) -> dict[str, int]:
        wanted = {"queue": self.queue, "priority": self.priority, "customer": self.customer}
        return {name: value for name, value in wanted.items() if value is not None}

    def _assigned(self, tickets: TicketQuerySet, user: AbstractBaseUser | AnonymousUser) -> TicketQuerySet:
        if self.assignee == NOBODY:
            return tickets.filter(assignee=None)
        if self.assignee == ME:
            return tickets.filter(assignee=user.pk)
        return tickets.filter(assignee=int(self.assignee)) if self.assignee else tickets


def search(tickets: TicketQuerySet, query: str) -> tuple[TicketQuerySet, datetime | None]:
    """Tickets that match, and the moment before which words were not looked for (None = all were).

    A ticket number, or the beginning of one, and a whole e-mail address are found by index at any age; words
    must all occur in subject, requester or customer, looked for in the newest :data:`SEARCH_WINDOW` tickets.
    """
    number = query.lstrip("[#").rstrip("]")
    if number and number.replace("-", "").isdigit() and len(number) >= 4:
        return tickets.filter(number__startswith=number), None
    if WHOLE_ADDRESS.fullmatch(query):
        taking_part = Participant.objects.filter(address=query.lower()).values("ticket")
        return tickets.filter(pk__in=taking_part), None
    return _search_words(tickets, query.split()[:MAX_WORDS])


def _search_words(tickets: TicketQuerySet, words: list[str]) -> tuple[TicketQuerySet, datetime | None]:
    newest_first = tickets.order_by("-last_message_at", "-id").values_list("last_message_at", flat=True)
    horizon = newest_first[SEARCH_WINDOW : SEARCH_WINDOW + 1].first()
    if horizon:
        tickets = tickets.filter(last_message_at__gte=horizon)
    for word in words:
        tickets = tickets.filter(_contains(word))
    return tickets, horizon


def _contains(word: str) -> Q:
    found = Q()
    for spelling in _spellings(word):
        for field in TEXT_FIELDS:
            found |= Q(**{f"{field}__icontains": spelling})
    return found


def _spellings(word: str) -> set[str]:
    """SQLite folds the case of ASCII letters only: umlauts are tried in each case."""
    return {word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()}


def _positive(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 16 else None


def _assignee(value: str) -> str:
    return value if value in {ME, NOBODY} or _positive(value) else ""
