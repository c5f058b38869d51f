"""From a draft to frozen bytes: choose the account, address the envelope, build once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils import timezone

from mailkit import building
from mailkit.addresses import Address, domain_of, normalise, validate
from mailkit.errors import InvalidAddress
from outbound.drafts import Draft
from outbound.errors import NoTransport
from outbound.models import OutgoingMessage, Recipient
from outbound.routing import Route, carrier_of, owner_of
from outbound.selectors import routes_for


@dataclass(frozen=True, slots=True)
class EnvelopeRecipient:
    """One recipient and the field it stood in; Bcc exists here only."""

    kind: Recipient.Kind
    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedMail:
    """A mail whose bytes will never change again, and how it leaves. ``message_id`` has no brackets."""

    account_id: int
    from_account_id: int | None
    purpose: OutgoingMessage.Purpose
    from_address: str
    from_name: str
    envelope_sender: str
    subject: str
    message_id: str
    raw: bytes = field(repr=False)
    recipients: tuple[EnvelopeRecipient, ...]
    copies_sent: bool


def compose_many(drafts: Sequence[Draft]) -> list[ComposedMail]:
    """Compose drafts with a constant number of queries; call it outside a transaction, as it costs CPU.

    Raises :class:`NoTransport`, and InvalidAddress or InvalidArgument for what must not enter a header or an
    envelope.
    """
    routes = routes_for(
        [draft.from_address for draft in drafts],
        account_ids=[draft.account_id for draft in drafts if draft.account_id],
    )
    return [_compose(draft, routes) for draft in drafts]


def _compose(draft: Draft, routes: Sequence[Route]) -> ComposedMail:
    carrier, owner = _carrier(draft, routes), owner_of(draft.from_address, routes)
    recipients = _recipients(draft)
    from_name = draft.from_name or (owner or carrier).sender_name
    built = building.build_message(_build_draft(draft, from_name, carrier))
    return ComposedMail(
        account_id=carrier.account_id,
        from_account_id=owner.account_id if owner else None,
        purpose=draft.purpose,
        from_address=draft.from_address,
        from_name=from_name,
        envelope_sender=_envelope_sender(draft, owner or carrier),
        subject=draft.subject,
        message_id=built.message_id,
        raw=built.raw,
        recipients=recipients,
        copies_sent=bool(owner and owner.copies_sent),
    )


def _carrier(draft: Draft, routes: Sequence[Route]) -> Route:
    if draft.account_id is None:
        carrier = carrier_of(draft.from_address, routes)
    else:
        carrier = next((r for r in routes if r.account_id == draft.account_id and r.sends), None)
    if carrier is None:
        raise NoTransport(draft.from_address)
    return carrier


def _envelope_sender(draft: Draft, mailbox: Route) -> str:
    """Where bounces go: the mailbox of the From address, which is the one that is polled."""
    if draft.envelope_sender is None:
        return mailbox.email
    return validate(draft.envelope_sender) if draft.envelope_sender else ""


def _recipients(draft: Draft) -> tuple[EnvelopeRecipient, ...]:
    """Each address once, To before Cc before Bcc. Raises InvalidAddress for none at all."""
    fields = [(Recipient.Kind.TO, draft.to), (Recipient.Kind.CC, draft.cc), (Recipient.Kind.BCC, draft.bcc)]
    found: dict[str, EnvelopeRecipient] = {}
    for kind, addresses in fields:
        for one in addresses:
            found.setdefault(normalise(one.address), EnvelopeRecipient(kind, one.name, validate(one.address)))
    if not found:
        raise InvalidAddress("no recipient")
    return tuple(found.values())


def _build_draft(draft: Draft, from_name: str, carrier: Route) -> building.Draft:
    return building.Draft(
        from_=Address(from_name, validate(draft.from_address)),
        to=_valid(draft.to),
        cc=_valid(draft.cc),
        reply_to=_valid(draft.reply_to),
        subject=draft.subject,
        text=draft.text,
        html=draft.html or None,
        date=timezone.localtime(),
        attachments=draft.attachments,
        in_reply_to=draft.in_reply_to,
        references=draft.references,
        message_id=draft.message_id,
        message_id_domain=carrier.client_alias or domain_of(draft.from_address),
        headers=draft.headers,
    )


def _valid(addresses: Sequence[Address]) -> list[Address]:
    return [Address(one.name, validate(one.address)) for one in addresses]
