"""A customer's tickets on the page of the address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailkit.headers import visible
from masterdata import timeline
from masterdata.models import Address
from masterdata.timeline import TimelineEntry
from tickets.models import Ticket
from tickets.wording import STATE_TONES

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def tickets_of(
    address: Address, user: AbstractBaseUser | AnonymousUser, limit: int
) -> Iterator[TimelineEntry]:
    """The newest tickets of the address that this user may see: one query."""
    found = Ticket.objects.visible_to(user).filter(customer=address).order_by("-last_message_at", "-id")
    for ticket in found[:limit]:
        yield TimelineEntry(
            at=ticket.last_message_at,
            title=visible(ticket.subject) or f"#{ticket.number}",
            url=ticket.get_absolute_url(),
            detail=f"#{ticket.number} · {ticket.get_state_display()}",
            tone=STATE_TONES.get(ticket.state, "off"),
        )


timeline.register(tickets_of)
