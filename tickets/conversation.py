"""What the conversation page shows, read with a number of queries that does not grow with the ticket.

Nothing here is a query of a template: everything is fetched first, then put together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Max, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from mailaccounts.models import MailAccount
from masterdata import roles
from masterdata.models import ContactPerson
from outbound.models import OutgoingMessage
from tickets import rendering, wording
from tickets.forms import person
from tickets.models import Attachment, Ticket, TicketEvent, TicketMessage
from tickets.rendering import TextBody
from tickets.vocabulary import Event
from tickets.wording import EventLine, MarkLabel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

# The newest messages are shown at once; the others on demand, as each HTML mail is a document of its own.
SHOWN_MESSAGES = 30
HISTORY_LINES = 30
OTHER_TICKETS = 6
# Events that stand in the conversation itself, where they happened; the history beside it holds all.
IN_LINE = frozenset({Event.AUTOREPLY_SENT, Event.AUTOREPLY_SUPPRESSED, Event.LINKED})
_LOOKS = {
    TicketMessage.Kind.INCOMING: "in",
    TicketMessage.Kind.BOUNCE: "in",
    TicketMessage.Kind.OUTGOING: "out",
    TicketMessage.Kind.AUTO_REPLY: "out",
    TicketMessage.Kind.NOTE: "note",
}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An attachment to offer."""

    name: str
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an outgoing mail; ``url`` is "" for those who may not see its page."""

    tone: str
    label: str
    url: str


@dataclass(slots=True)
class MessageEntry:
    """One message ready to be shown. Either ``frame`` (an HTML document) or ``body`` (text) is set."""

    message: TicketMessage
    look: str
    author: str
    detail: str
    label: str
    body: TextBody | None = None
    frame: str = ""
    remote_count: int = 0
    shows_remote: bool = False
    marks: list[MarkLabel] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    delivery: Delivery | None = None
    original_url: str = ""

    @property
    def at(self) -> datetime:
        """When it was written or received."""
        return self.message.at

    @property
    def is_note(self) -> bool:
        """Whether only colleagues see it."""
        return self.message.kind == TicketMessage.Kind.NOTE

    @property
    def is_automatic(self) -> bool:
        """Whether the autoresponder wrote it."""
        return self.message.kind == TicketMessage.Kind.AUTO_REPLY


@dataclass(slots=True)
class Conversation:
    """The log of a ticket: messages and the events that belong between them, oldest first."""

    entries: list[MessageEntry | EventLine]
    earlier: int
    history: list[EventLine]


def read_conversation(
    ticket: Ticket,
    user: AbstractBaseUser | AnonymousUser,
    *,
    remote: Collection[int] = (),
    shows_all: bool = False,
) -> Conversation:
    """The log as ``user`` may see it. ``remote`` are ids of messages whose remote pictures are wanted."""
    messages, earlier = _messages(ticket, shows_all=shows_all)
    entries = _message_entries(ticket, messages, user, remote)
    _say_once(ticket, entries)
    events = list(ticket.events.select_related("actor").order_by("-at", "-id")[: HISTORY_LINES * 4])
    events.reverse()
    since = messages[0].at if messages and earlier else None
    lines = [wording.event_line(event) for event in events if _stands_in_line(event, since)]
    merged: list[MessageEntry | EventLine] = [*entries, *lines]
    merged.sort(key=lambda entry: entry.at)
    return Conversation(merged, earlier, [wording.event_line(event) for event in events[-HISTORY_LINES:]])


def fingerprint(ticket: Ticket) -> tuple[object, ...]:
    """What changes whenever the log does: messages, the fate of sent ones, the last event. Two queries."""
    messages = ticket.messages.order_by("pk").values_list("pk", "outgoing__state", "outgoing__bounced_at")
    return (list(messages), ticket.events.aggregate(last=Max("pk"))["last"])


def _say_once(ticket: Ticket, entries: Sequence[MessageEntry]) -> None:
    """Where one mail is all there is, what the head of the page says need not stand on it again."""
    if len(entries) == 1:
        entries[0].marks = [mark for mark in entries[0].marks if mark.code not in ticket.marks]


def _stands_in_line(event: TicketEvent, since: datetime | None) -> bool:
    return event.code in IN_LINE and (since is None or event.at >= since)


def _messages(ticket: Ticket, *, shows_all: bool) -> tuple[list[TicketMessage], int]:
    newest = ticket.messages.select_related("author", "outgoing").order_by("-at", "-id")
    if shows_all:
        return list(newest)[::-1], 0
    found = list(newest[: SHOWN_MESSAGES + 1])
    if len(found) <= SHOWN_MESSAGES:
        return found[::-1], 0
    return found[:SHOWN_MESSAGES][::-1], ticket.messages.count() - SHOWN_MESSAGES


def _message_entries(
    ticket: Ticket,
    messages: Sequence[TicketMessage],
    user: AbstractBaseUser | AnonymousUser,
    remote: Collection[int],
) -> list[MessageEntry]:
    attachments = _attachments(messages)
    pages = _visible_outgoing(messages, user)
    gets_originals = may_read_originals(ticket, user)
    entries = []
    for message in messages:
        entry = _entry(message)
        _show_body(entry, ticket, attachments[message.pk], allow_remote=message.pk in remote)
        entry.files = [
            _file(ticket, attachment) for attachment in attachments[message.pk] if not attachment.is_inline
        ]
        entry.delivery = _delivery(message, pages)
        if gets_originals and message.raw_id:
            entry.original_url = reverse("tickets:original", args=[ticket.number, message.pk])
        entries.append(entry)
    return entries


def _entry(message: TicketMessage) -> MessageEntry:
    author = person(message.author) if message.author else message.from_name or message.from_address
    return MessageEntry(
        message=message,
        look=_LOOKS.get(TicketMessage.Kind(message.kind), "in"),
        author=author or _("unknown sender"),
        detail=_detail(message),
        label=_label(message, author),
        marks=[wording.mark_label(code) for code in message.marks],
    )


def _label(message: TicketMessage, author: str) -> str:
    texts = {
        TicketMessage.Kind.NOTE: _("Internal note by %(name)s"),
        TicketMessage.Kind.OUTGOING: _("Answer by %(name)s"),
        TicketMessage.Kind.AUTO_REPLY: _("Automatic answer"),
    }
    text = texts.get(TicketMessage.Kind(message.kind), _("Message from %(name)s"))
    return text % {"name": author} if "%(name)s" in text else text


def _detail(message: TicketMessage) -> str:
    """Who wrote to whom, as one line below the author."""
    to = ", ".join(name or address for name, address in message.to[:5])
    if len(message.to) > 5:
        to = _("%(names)s and %(count)d more") % {"names": to, "count": len(message.to) - 5}
    values = {"from": message.from_address, "to": to, "cc": ", ".join(n or a for n, a in message.cc[:5])}
    if message.kind == TicketMessage.Kind.NOTE:
        return ""
    if message.kind in {TicketMessage.Kind.OUTGOING, TicketMessage.Kind.AUTO_REPLY}:
        text = _("to %(to)s · from %(from)s") % values
    else:
        text = _("%(from)s to %(to)s") % values if to else message.from_address
    return _("%(line)s · copy to %(cc)s") % {"line": text, "cc": values["cc"]} if message.cc else text


def _show_body(
    entry: MessageEntry, ticket: Ticket, attachments: Sequence[Attachment], *, allow_remote: bool
) -> None:
    message = entry.message
    if not message.untrusted_html or entry.look != "in":
        entry.body = rendering.text_body(message.text)
        return
    entry.frame = rendering.frame_document(
        message,
        allow_remote=allow_remote,
        attachment_url=lambda attachment: inline_url(ticket, attachment),
        attachments=attachments,
    )
    entry.remote_count = rendering.remote_count(message)
    entry.shows_remote = allow_remote


def inline_url(ticket: Ticket, attachment: Attachment) -> str:
    """Where the frame finds a picture of the mail."""
    return reverse("tickets:inline", args=[ticket.number, attachment.pk])


def _attachments(messages: Sequence[TicketMessage]) -> Mapping[int, list[Attachment]]:
    found: defaultdict[int, list[Attachment]] = defaultdict(list)
    for attachment in Attachment.objects.filter(message__in=[m.pk for m in messages]).order_by("position"):
        found[attachment.message_id].append(attachment)
    return found


def _file(ticket: Ticket, attachment: Attachment) -> FileEntry:
    url = reverse("tickets:attachment", args=[ticket.number, attachment.pk])
    return FileEntry(attachment.filename, attachment.size, url)


def _visible_outgoing(
    messages: Sequence[TicketMessage], user: AbstractBaseUser | AnonymousUser
) -> frozenset[int]:
    wanted = [message.outgoing_id for message in messages if message.outgoing_id]
    visible = OutgoingMessage.objects.visible_to(user).filter(pk__in=wanted)
    return frozenset(visible.values_list("pk", flat=True))


def _delivery(message: TicketMessage, pages: Collection[int]) -> Delivery | None:
    if message.outgoing is None:
        return None
    tone, label = wording.delivery(message.outgoing)
    return Delivery(tone, label, message.outgoing.get_absolute_url() if message.outgoing_id in pages else "")


def may_read_originals(ticket: Ticket, user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the user may take the raw mail: owners of the mailbox, and the superuser, who is recorded."""
    if roles.is_superuser(user):
        return True
    return (
        ticket.account_id is not None
        and MailAccount.objects.owned_by(user).filter(pk=ticket.account_id).exists()
    )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands beside the conversation."""

    contacts: list[ContactPerson]
    related: list[Ticket]
    others: list[Ticket]


def read_surroundings(ticket: Ticket, user: AbstractBaseUser | AnonymousUser) -> Surroundings:
    """The customer's contact persons, linked tickets, and the requester's other tickets the user may see."""
    visible = Ticket.objects.visible_to(user)
    related = list(visible.filter(related=ticket).order_by("-last_message_at")[:OTHER_TICKETS])
    same = (
        Q(customer=ticket.customer_id)
        if ticket.customer_id
        else Q(requester_address=ticket.requester_address)
    )
    known = [ticket.pk, *(other.pk for other in related)]
    others = visible.filter(same).exclude(pk__in=known).order_by("-last_message_at")[:OTHER_TICKETS]
    has_identity = ticket.customer_id or ticket.requester_address
    contacts = ContactPerson.objects.filter(address=ticket.customer_id)[:8] if ticket.customer_id else []
    return Surroundings(list(contacts), related, list(others) if has_identity else [])
