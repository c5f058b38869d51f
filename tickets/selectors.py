"""Reading tickets: what answers start from, and reading that is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from audit import services as audit
from mailaccounts.models import MailAccount
from mailaccounts.selectors import all_own_addresses, own_addresses
from mailkit.addresses import Address as Mailbox
from mailkit.addresses import normalise
from masterdata import roles
from masterdata.selectors import company
from outbound.selectors import Sender, senders_for
from tickets.models import Queue, Ticket, TicketMessage, TicketOptions
from tickets.vocabulary import Mark

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

Kind = TicketMessage.Kind


@dataclass(frozen=True, slots=True)
class AnswerWarning:
    """Something to know before answering: ``code`` is a Mark, ``data`` its particulars."""

    code: str
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnswerRecipients:
    """Whom an answer goes to by default."""

    to: list[Mailbox]
    cc: list[Mailbox]
    warnings: list[AnswerWarning]


def read_ticket(*, number: str, by: AbstractBaseUser) -> Ticket:
    """The ticket for reading its content; a superuser's reading is recorded.

    Raises Ticket.DoesNotExist for a foreign or unknown number alike.
    """
    tickets = Ticket.objects.visible_to(by).select_related(
        "queue", "project", "assignee", "customer", "account"
    )
    ticket = tickets.get(number=number)
    if roles.is_superuser(by):
        audit.record(action="ticket.read", obj=ticket, by=by)
    return ticket


def last_incoming(ticket: Ticket) -> TicketMessage | None:
    """The mail an answer replies to: the newest one that somebody wrote to us."""
    return _newest(ticket, Kind.INCOMING)


def answered_message(ticket: Ticket) -> TicketMessage | None:
    """The mail an answer refers to in its headers: the last incoming one, else our own last."""
    return last_incoming(ticket) or _newest(ticket, Kind.OUTGOING)


def _newest(ticket: Ticket, kind: str) -> TicketMessage | None:
    messages = ticket.messages.filter(kind=kind).defer("text", "untrusted_html")
    return messages.order_by("-at", "-pk").first()


def answer_sender(ticket: Ticket) -> Sender:
    """The From address an answer starts with.

    Of a ticket made from an account's mail (product §4, Ausgehende E-Mailadresse): the own address written
    to, else the account's; with the option off its Sender E-Mailadresse. Of a ticket begun by us: the address
    we wrote from, else the project's, else the company's.
    """
    account = ticket.account
    incoming = last_incoming(ticket) if account else None
    if account and incoming:
        return Sender(_account_address(account, incoming), _sender_name(account), account.pk)
    return _begun_by_us(ticket)


def _account_address(account: MailAccount, incoming: TicketMessage) -> str:
    options = TicketOptions.objects.filter(account=account).first()
    if options is None or options.answers_from_own_address:
        written_to = incoming.delivered_to
        return written_to if normalise(written_to) in _own(account) else account.email
    return _sender_address(account)


def _own(account: MailAccount) -> frozenset[str]:
    return frozenset(normalise(address) for address in own_addresses(account))


def _sender_address(account: MailAccount) -> str:
    smtp = getattr(account, "smtp", None)
    return (smtp.sender_address if smtp else "") or account.email


def _sender_name(account: MailAccount) -> str:
    smtp = getattr(account, "smtp", None)
    return (smtp.sender_name if smtp else "") or account.display_name


def _begun_by_us(ticket: Ticket) -> Sender:
    outgoing = _newest(ticket, Kind.OUTGOING)
    if outgoing:
        return Sender(outgoing.from_address, outgoing.from_name, ticket.account_id or 0)
    if ticket.account:
        return Sender(_sender_address(ticket.account), _sender_name(ticket.account), ticket.account.pk)
    owner = company()
    preferred = ticket.project.preferred_sender if ticket.project else ""
    return Sender(preferred or (owner.main_address if owner else ""), owner.sender_name if owner else "", 0)


def senders_for_answer(*, ticket: Ticket, by: AbstractBaseUser) -> list[Sender]:
    """From addresses the user may answer this ticket with; :func:`answer_sender` comes first.

    A right on the queue suffices for the addresses of the ticket's account (product §6).
    """
    preselected = answer_sender(ticket)
    others = senders_for(by, account=ticket.account)
    first = normalise(preselected.address)
    known = next((one for one in others if normalise(one.address) == first), preselected)
    rest = [one for one in others if normalise(one.address) != first]
    return [known, *rest] if known.address else rest


def may_answer_from(*, ticket: Ticket, by: AbstractBaseUser, address: str) -> bool:
    """Whether :func:`senders_for_answer` holds the address (W15); the page's select proves nothing."""
    wanted = normalise(address)
    return any(normalise(one.address) == wanted for one in senders_for_answer(ticket=ticket, by=by))


def answer_recipients(ticket: Ticket, *, to_all: bool = False) -> AnswerRecipients:
    """Whom an answer goes to: Reply-To, else From of the last incoming mail; ``to_all`` adds its To and Cc.

    Own addresses are left out of the copies. A Reply-To that is not the sender's address warns (B64).
    """
    message = last_incoming(ticket)
    if message is None:
        return AnswerRecipients(_written_to(ticket), [], [])
    target = message.reply_to or message.from_address
    to = [Mailbox(message.from_name if _same(target, message.from_address) else "", target)] if target else []
    cc = _others(message, exclude={normalise(target)}) if to_all else []
    return AnswerRecipients(to, cc, _warnings(message))


def _same(one: str, other: str) -> bool:
    return normalise(one) == normalise(other)


def _warnings(message: TicketMessage) -> list[AnswerWarning]:
    if not message.reply_to or not message.from_address or _same(message.reply_to, message.from_address):
        return []
    data = {"from": message.from_address, "reply_to": message.reply_to}
    return [AnswerWarning(str(Mark.REPLY_TO_ELSEWHERE), data)]


def _others(message: TicketMessage, *, exclude: set[str]) -> list[Mailbox]:
    left_out = exclude | {normalise(address) for address in all_own_addresses()}
    mailboxes = [Mailbox(name, address) for name, address in [*message.to, *message.cc] if address]
    return _unique(mailboxes, left_out)


def _unique(mailboxes: Iterable[Mailbox], left_out: set[str]) -> list[Mailbox]:
    found = {normalise(one.address): one for one in mailboxes}
    return [one for key, one in found.items() if key not in left_out]


def _written_to(ticket: Ticket) -> list[Mailbox]:
    outgoing = _newest(ticket, Kind.OUTGOING)
    if outgoing:
        return [Mailbox(name, address) for name, address in outgoing.to]
    if ticket.requester_address:
        return [Mailbox(ticket.requester_name, ticket.requester_address)]
    return []


def assignable_users(queue: Queue, *, ticket: Ticket | None = None) -> QuerySet[User]:
    """Who may be given a ticket of that queue: its agents, and who owns the ticket's personal account."""
    allowed = Q(queues=queue, groups__name=roles.AGENT)
    if ticket and ticket.account and ticket.account.kind == MailAccount.Kind.PERSONAL:
        allowed |= Q(employee__account_links__account=ticket.account)
    return User.objects.filter(allowed, is_active=True).distinct().order_by("last_name", "username")
