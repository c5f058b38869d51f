"""What somebody wants to send, before an account is chosen and bytes are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailkit.addresses import Address
from mailkit.building import Attachment
from outbound.models import OutgoingMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One mail to compose. Ids are given without angle brackets.

    ``from_name`` "": the sender name of the account of the From address (product §3). ``bcc`` stands in the
    envelope only. ``envelope_sender`` None: the mailbox of that account, "" the null reverse-path (RFC 5321
    §4.5.5). ``message_id`` None: one is made under :func:`outbound.selectors.message_id_domain`.
    ``account_id`` names the transporting account instead of the rules of product §3. ``headers`` are further
    fields such as Auto-Submitted.
    """

    from_address: str
    to: Sequence[Address]
    subject: str
    text: str
    purpose: OutgoingMessage.Purpose
    from_name: str = ""
    cc: Sequence[Address] = ()
    bcc: Sequence[Address] = ()
    html: str = ""
    attachments: Sequence[Attachment] = ()
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    reply_to: Sequence[Address] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    envelope_sender: str | None = None
    message_id: str | None = None
    account_id: int | None = None
