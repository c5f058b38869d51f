"""Filters of the ticket pages: ``{% load tickets %}``."""

from __future__ import annotations

from django import template
from django.contrib.auth.models import User

from mailkit.headers import visible as marked
from tickets.forms import person as shown_name
from tickets.models import Ticket
from tickets.wording import PRIORITY_TONES, STATE_TONES

register = template.Library()


@register.filter
def visible(text: str) -> str:
    """Text from a stranger with its invisible and reordering characters written out (B29)."""
    return marked(text)


@register.filter
def person(user: User | None) -> str:
    """A colleague's name; "" for nobody."""
    return shown_name(user) if user else ""


@register.filter
def state_tone(ticket: Ticket) -> str:
    """Tone of the ticket's state."""
    return STATE_TONES.get(ticket.state, "")


@register.filter
def priority_tone(ticket: Ticket) -> str:
    """Tone of the ticket's priority; "" for a normal one, which is not worth a badge."""
    return PRIORITY_TONES.get(ticket.priority, "")
