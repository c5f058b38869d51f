"""Numbers beside the views and queues of the ticket list: one grouped query over the open tickets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Q

from tickets.filters import ME, NOBODY, TicketFilter
from tickets.models import Queue, Ticket

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

# The navigation's number is bounded: beyond it nobody reads it as a number any more.
NAVIGATION_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class _Cell:
    queue: int
    assignee: int | None
    state: str
    number: int


@dataclass(frozen=True, slots=True)
class OpenCounts:
    """How many open tickets the user sees, by queue, assignee and state, and the queues concerned."""

    user_id: int | None
    queues: list[Queue]
    cells: list[_Cell]

    def total(self) -> int:
        """All open tickets."""
        return self._sum(lambda _cell: True)

    def of_queue(self, queue: int) -> int:
        """Open tickets of a queue."""
        return self._sum(lambda cell: cell.queue == queue)

    def mine(self) -> int:
        """Open tickets assigned to the user."""
        return self._sum(lambda cell: cell.assignee == self.user_id)

    def unassigned(self) -> int:
        """Open tickets nobody works on."""
        return self._sum(lambda cell: cell.assignee is None)

    def of_state(self, state: str, chosen: TicketFilter) -> int:
        """Tickets of an open state among the queue and assignee chosen; "" stands for every open state."""
        return self._sum(lambda cell: state in {"", cell.state} and self._is_chosen(cell, chosen))

    def _is_chosen(self, cell: _Cell, chosen: TicketFilter) -> bool:
        if chosen.queue is not None and cell.queue != chosen.queue:
            return False
        wanted = {"": cell.assignee, ME: self.user_id, NOBODY: None}
        assignee = wanted[chosen.assignee] if chosen.assignee in wanted else int(chosen.assignee)
        return cell.assignee == assignee

    def _sum(self, condition: Callable[[_Cell], bool]) -> int:
        return sum(cell.number for cell in self.cells if condition(cell))


def open_counts(user: AbstractBaseUser | AnonymousUser) -> OpenCounts:
    """Count in two queries, whatever the number of tickets and queues."""
    grouped = (
        Ticket.objects.visible_to(user)
        .open()
        .order_by()
        .values_list("queue", "assignee", "state")
        .annotate(number=Count("pk"))
    )
    cells = [_Cell(*row) for row in grouped]
    granted = Queue.objects.granted_to(user).filter(is_active=True)
    queues = Queue.objects.filter(Q(pk__in=granted.values("pk")) | Q(pk__in={cell.queue for cell in cells}))
    return OpenCounts(user.pk, list(queues), cells)


def open_total(user: AbstractBaseUser | AnonymousUser) -> int:
    """Open tickets the user sees, counted up to :data:`NAVIGATION_LIMIT`."""
    return Ticket.objects.visible_to(user).open().order_by()[:NAVIGATION_LIMIT].count()
