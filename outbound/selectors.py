"""Reading the outbox, and who may send as whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from mailaccounts.models import MailAccount
from mailkit.addresses import domain_of, normalise
from masterdata import roles
from outbound.clock import give_up_at
from outbound.errors import NoTransport
from outbound.models import OutgoingMessage
from outbound.routing import Route, carrier_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

__all__ = [
    "NoTransport", "Sender", "may_read_content", "may_see_outbox", "may_send_from",
    "message_id_domain", "messages_by_ids", "needing_attention", "overdue", "owns_content",
    "routes_for", "senders_for", "transporting_account",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sender:
    """An address that somebody may send from, its display name, and the account it belongs to."""

    address: str
    name: str
    account_id: int

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


def transporting_account(from_address: str) -> MailAccount:
    """The account that transports mail from this address (product §3). Raises :class:`NoTransport`."""
    carrier = carrier_of(from_address, routes_for([from_address]))
    if carrier is None:
        raise NoTransport(from_address)
    return MailAccount.objects.select_related("smtp", "imap").get(pk=carrier.account_id)


def message_id_domain(from_address: str) -> str:
    """Domain for Message-IDs of mail from this address: its carrier's client alias, else its own domain."""
    carrier = carrier_of(from_address, routes_for([from_address]))
    return (carrier.client_alias if carrier else "") or domain_of(from_address)


def routes_for(addresses: Iterable[str], *, account_ids: Collection[int] = ()) -> list[Route]:
    """Every active account that the rules could choose for one of ``addresses``, in two queries."""
    wanted = {normalise(address) for address in addresses if address}
    patterns = wanted | {f"@{domain_of(address)}" for address in wanted}
    accounts = (
        MailAccount.objects.active()
        .annotate(email_lower=Lower("email"), sender_lower=Lower("smtp__sender_address"))
        .filter(
            Q(email_lower__in=wanted)
            | Q(sender_lower__in=wanted)
            | Q(pk__in=account_ids)
            | Q(further_senders__pattern__in=patterns)
        )
        .select_related("smtp", "imap")
        .prefetch_related("further_senders")
        .distinct()
    )
    return [_route(account) for account in accounts]


def _route(account: MailAccount) -> Route:
    smtp, imap = getattr(account, "smtp", None), getattr(account, "imap", None)
    return Route(
        account_id=account.pk,
        email=normalise(account.email),
        sender_address=normalise(smtp.sender_address) if smtp else "",
        patterns=frozenset(further.pattern.lower() for further in account.further_senders.all()),
        sends=bool(smtp and smtp.is_enabled),
        is_standard=account.is_standard,
        sender_name=_sender_name(account),
        copies_sent=bool(imap and imap.copies_sent and imap.sent_folder),
        client_alias=smtp.client_alias if smtp else "",
    )


def _sender_name(account: MailAccount) -> str:
    smtp = getattr(account, "smtp", None)
    return (smtp.sender_name if smtp else "") or account.display_name


def senders_for(
    user: AbstractBaseUser | AnonymousUser, *, account: MailAccount | None = None
) -> list[Sender]:
    """Addresses the user may send from (product §6): e-mail, sender and further addresses of usable accounts.

    ``account``: the caller vouches that the user may answer for it (a queue right suffices); its addresses
    come first. Addresses without transport are listed too: choosing one gives the error that names the
    remedy.
    """
    usable = MailAccount.objects.usable_by(user).select_related("smtp").prefetch_related("further_senders")
    accounts = [*([account] if account and not account.is_retired else []), *usable]
    senders: dict[str, Sender] = {}
    for candidate in accounts:
        for sender in _senders_of(candidate):
            senders.setdefault(normalise(sender.address), sender)
    return list(senders.values())


def _senders_of(account: MailAccount) -> list[Sender]:
    smtp = getattr(account, "smtp", None)
    further = [f.pattern for f in account.further_senders.all() if not f.pattern.startswith("@")]
    addresses = [account.email, smtp.sender_address if smtp else "", *further]
    return [Sender(address, _sender_name(account), account.pk) for address in addresses if address]


def may_send_from(
    user: AbstractBaseUser | AnonymousUser, address: str, *, account: MailAccount | None = None
) -> bool:
    """Whether :func:`senders_for` holds the address."""
    wanted = normalise(address)
    return any(normalise(sender.address) == wanted for sender in senders_for(user, account=account))


def messages_by_ids(message_ids: Collection[str]) -> dict[str, OutgoingMessage]:
    """Outgoing mails by their Message-IDs (no brackets); of repeated sendings the latest."""
    if not message_ids:
        return {}
    rows = OutgoingMessage.objects.filter(message_id__in=message_ids).order_by("pk")
    return {row.message_id: row for row in rows}


def needing_attention(user: AbstractBaseUser | AnonymousUser) -> QuerySet[OutgoingMessage]:
    """Mail the user may see that was not delivered and about which nobody has decided."""
    return OutgoingMessage.objects.visible_to(user).needing_attention()


def overdue(due: datetime) -> QuerySet[OutgoingMessage]:
    """Mail of all accounts that was first due at ``due`` or before and has not reached a final state."""
    is_automatic = Q(purpose=OutgoingMessage.Purpose.AUTO_REPLY)
    return OutgoingMessage.objects.unfinished().filter(
        (is_automatic & Q(give_up_at__lte=give_up_at(due, OutgoingMessage.Purpose.AUTO_REPLY)))
        | (~is_automatic & Q(give_up_at__lte=give_up_at(due, "")))
    )


def may_read_content(user: AbstractBaseUser | AnonymousUser, message: OutgoingMessage) -> bool:
    """Whether the user may read the mail itself; of a superuser's reading the caller makes a record."""
    return owns_content(user, message) or roles.is_superuser(user)


def owns_content(user: AbstractBaseUser | AnonymousUser, message: OutgoingMessage) -> bool:
    """Whether the user wrote the mail, or owns the account of its From address."""
    if not user.is_authenticated:
        return False
    return (
        message.created_by_id == user.pk
        or MailAccount.objects.owned_by(user).filter(outgoing=message).exists()
    )


def may_see_outbox(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Those who send, those who own a mailbox, and mail administrators; each sees only what is theirs."""
    if roles.is_staff_member(user) or roles.is_mail_administrator(user):
        return True
    return MailAccount.objects.owned_by(user).exists()
