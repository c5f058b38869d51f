"""How stored codes read on the pages: events of the history, marks, states and their tones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailaccounts.diagnosis import explain
from mailkit.errors import MailError
from outbound.errors import OutboundError
from outbound.models import OutgoingMessage
from tickets.autoreply_reasons import reason_text
from tickets.forms import person
from tickets.models import Ticket, TicketEvent
from tickets.vocabulary import Event, Mark

STATE_TONES: Mapping[str, str] = {
    Ticket.State.NEW: "accent",
    Ticket.State.OPEN: "hint",
    Ticket.State.WAITING_CUSTOMER: "warn",
    Ticket.State.WAITING_INTERNAL: "warn",
    Ticket.State.CLARIFY: "hint",
    Ticket.State.CLOSED: "ok",
    Ticket.State.SPAM: "off",
    Ticket.State.TRASH: "off",
}
PRIORITY_TONES: Mapping[int, str] = {
    Ticket.Priority.LOW: "off",
    Ticket.Priority.HIGH: "bad",
    Ticket.Priority.URGENT: "bad",
}

Sent = OutgoingMessage.State
DELIVERY: Mapping[str, tuple[str, Promise]] = {
    Sent.QUEUED: ("hint", gettext_lazy("waiting")),
    Sent.SENDING: ("hint", gettext_lazy("being sent")),
    Sent.DOT_SENT: ("hint", gettext_lazy("handed over, reply pending")),
    Sent.SENT: ("ok", gettext_lazy("delivered")),
    Sent.FAILED: ("bad", gettext_lazy("failed")),
    Sent.CANCELLED: ("off", gettext_lazy("cancelled")),
    Sent.UNCERTAIN: ("warn", gettext_lazy("delivery uncertain")),
}
# Marks that call for care; the others merely inform.
GRAVE_MARKS = frozenset(
    {
        Mark.ADDRESS_IN_DISPLAY_NAME,
        Mark.AUTHENTICATION_FAILED,
        Mark.FOREIGN_NUMBER,
        Mark.FOREIGN_REFERENCE,
        Mark.INVALID_SENDER,
        Mark.OWN_ADDRESS_AS_NAME,
        Mark.OWN_ADDRESS_AS_SENDER,
        Mark.REPLY_TO_ELSEWHERE,
        Mark.SEVERAL_SENDERS,
        Mark.TOKEN_FROM_UNKNOWN_SENDER,
    }
)


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event as a sentence."""

    at: datetime
    text: str
    actor: str
    icon: str
    tone: str


@dataclass(frozen=True, slots=True)
class MarkLabel:
    """A mark in words."""

    code: str
    text: str
    tone: str


def mark_label(code: str) -> MarkLabel:
    """The words of a mark; a code this version does not know is shown as it stands."""
    text = str(Mark(code).label) if code in Mark.values else code
    return MarkLabel(code, text, "warn" if code in GRAVE_MARKS else "hint")


def delivery(message: OutgoingMessage) -> tuple[str, str]:
    """Tone and word of an outgoing mail's fate. A bounce counts more than the server's acceptance."""
    if message.bounced_at:
        return "bad", _("returned as undeliverable")
    tone, word = DELIVERY.get(message.state, ("hint", message.get_state_display()))
    return tone, str(word)


def refusal(error: OutboundError | MailError) -> str:
    """Why a mail could not be queued, and what to do, as one paragraph."""
    if isinstance(error, OutboundError):
        return str(error)
    explanation = explain(error.code, error.detail)
    return " ".join(filter(None, [explanation.title, explanation.cause, explanation.remedy]))


def event_line(event: TicketEvent) -> EventLine:
    """The event as a sentence, with who did it ("" for the system)."""
    icon, tone = _LOOKS.get(event.code, ("info", "hint"))
    sentence = _SENTENCES.get(event.code, _label)
    actor = person(event.actor) if event.actor else ""
    return EventLine(event.at, sentence(event), actor, icon, tone)


_LOOKS: Mapping[str, tuple[str, str]] = {
    Event.CREATED: ("ticket", "accent"),
    Event.STATE_CHANGED: ("refresh", "hint"),
    Event.ASSIGNEE_CHANGED: ("user", "hint"),
    Event.PRIORITY_CHANGED: ("alert", "hint"),
    Event.CUSTOMER_CHANGED: ("people", "hint"),
    Event.ANSWERED: ("reply", "ok"),
    Event.NOTED: ("note", "hint"),
    Event.BOUNCED: ("alert", "bad"),
    Event.AUTOREPLY_SENT: ("bolt", "ok"),
    Event.AUTOREPLY_SUPPRESSED: ("bolt", "off"),
}


def _label(event: TicketEvent) -> str:
    return str(Event(event.code).label) if event.code in Event.values else event.code


def _value(event: TicketEvent, name: str) -> str:
    value: Any = event.data.get(name)
    return "" if value is None else str(value)


def _created(event: TicketEvent) -> str:
    return _("Made from an e-mail") if _value(event, "origin") == "mail" else _("Opened by hand")


def _state_changed(event: TicketEvent) -> str:
    state = _choice(Ticket.State, _value(event, "to"))
    cause = _CAUSES.get(_value(event, "cause"))
    return _("%(state)s: %(cause)s") % {"state": state, "cause": cause} if cause else state


_CAUSES: Mapping[str, Promise] = {
    "mail": gettext_lazy("the customer wrote"),
    "bounce": gettext_lazy("an e-mail could not be delivered"),
    "answer": gettext_lazy("answered"),
}


def _priority_changed(event: TicketEvent) -> str:
    value = _value(event, "to")
    label = (
        Ticket.Priority(int(value)).label
        if value.isdigit() and int(value) in Ticket.Priority.values
        else value
    )
    return _("Priority %(priority)s") % {"priority": label}


def _choice(choices: type[Ticket.State], value: str) -> str:
    return str(choices(value).label) if value in choices.values else value


def _changed_to(text: Promise, emptied: Promise) -> Callable[[TicketEvent], str]:
    """A sentence about a property that has a name, or none."""

    def sentence(event: TicketEvent) -> str:
        name = _value(event, "to")
        return str(text) % {"name": name} if name else str(emptied)

    return sentence


def _linked(event: TicketEvent) -> str:
    reason = _value(event, "reason")
    number = _value(event, "number")
    if reason in Mark.values:
        return _("Linked to #%(number)s: %(reason)s") % {"number": number, "reason": Mark(reason).label}
    return _("Linked to #%(number)s") % {"number": number}


def _autoreply_sent(event: TicketEvent) -> str:
    return _with_reason(_("Automatic answer sent"), event)


def _autoreply_suppressed(event: TicketEvent) -> str:
    return _with_reason(_("No automatic answer"), event)


def _with_reason(text: str, event: TicketEvent) -> str:
    reason = _value(event, "reason")
    return f"{text}: {reason_text(reason)}" if reason else text


_SENTENCES: Mapping[str, Callable[[TicketEvent], str]] = {
    Event.CREATED: _created,
    Event.STATE_CHANGED: _state_changed,
    Event.ASSIGNEE_CHANGED: _changed_to(
        gettext_lazy("Assigned to %(name)s"), gettext_lazy("Assigned to nobody")
    ),
    Event.QUEUE_CHANGED: _changed_to(gettext_lazy("Moved to %(name)s"), gettext_lazy("Queue changed")),
    Event.PRIORITY_CHANGED: _priority_changed,
    Event.PROJECT_CHANGED: _changed_to(gettext_lazy("Project %(name)s"), gettext_lazy("No project any more")),
    Event.CUSTOMER_CHANGED: _changed_to(
        gettext_lazy("Customer %(name)s"), gettext_lazy("No customer any more")
    ),
    Event.LINKED: _linked,
    Event.AUTOREPLY_SENT: _autoreply_sent,
    Event.AUTOREPLY_SUPPRESSED: _autoreply_suppressed,
}
