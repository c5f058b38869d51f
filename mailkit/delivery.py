"""What every way of sending shares: envelopes that are safe to speak, and results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mailkit.arguments import reject_line_breakers
from mailkit.errors import (
    DeliveryError,
    InvalidAddress,
    InvalidArgument,
    PermanentDeliveryError,
    TransientDeliveryError,
)

_LONGEST_ADDRESS = 254  # RFC 5321 §4.5.3.1.3, errata 1690
_NOT_IN_ADDRESSES = frozenset(' <>,;:"\\()')


@dataclass(frozen=True)
class Reply:
    """A server's reply to one command. ``code`` is 0 where the refusal is ours."""

    code: int
    text: str

    @property
    def is_transient(self) -> bool:
        """Tell whether the same may succeed later (RFC 5321 §4.2.1)."""
        return 400 <= self.code < 500


@dataclass(frozen=True)
class DeliveryResult:
    """A mail that was accepted, by these recipients' server.

    ``refused`` holds why the others were not (R27).
    """

    reply_code: int
    reply_text: str
    accepted: list[str]
    refused: dict[str, Reply] = field(default_factory=dict)


class MailTransport(Protocol):
    """A way out for mail: ``SmtpSession`` or ``LocalMailProgram``."""

    def send(
        self, envelope_sender: str, recipients: Sequence[str], raw: bytes, *, before_dot: Callable[[], None]
    ) -> DeliveryResult:
        """Deliver ``raw``; see ``SmtpSession.send``."""
        ...


def check_raw(raw: bytes) -> bytes:
    """Return ``raw``; raise InvalidArgument unless each line ends in CRLF, the last too (RFC 5321 §2.3.8)."""
    line_ends = raw.count(b"\r\n")
    if line_ends != raw.count(b"\r") or line_ends != raw.count(b"\n") or not raw.endswith(b"\r\n"):
        raise InvalidArgument("the message holds bare CR or LF")
    if b"\0" in raw:
        raise InvalidArgument("the message holds NUL")
    return raw


def check_recipients(recipients: Sequence[str]) -> list[str]:
    """Return the recipients, each once. Raises InvalidAddress for a bad one and for none at all."""
    if not recipients:
        raise InvalidAddress("no recipient")
    return list(dict.fromkeys(recipients)) if all(map(envelope_address, recipients)) else []


def envelope_address(address: str) -> str:
    """Return ``address`` as on the wire, its domain in IDNA. Raises InvalidAddress or InvalidArgument.

    Quoted local parts are refused: nobody has one, and they are how one address becomes two.
    """
    reject_line_breakers(address, "An address")
    local, at, domain = address.rpartition("@")
    if (
        not (local and at and domain)
        or _NOT_IN_ADDRESSES & set(address)
        or address.startswith("-")
        or "@" in local
    ):
        raise InvalidAddress(address)
    wire = f"{local}@{_idna(domain)}"
    if len(wire.encode("utf-8")) > _LONGEST_ADDRESS:
        raise InvalidAddress(address)
    return wire


def _idna(domain: str) -> str:
    try:
        return domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidAddress(domain) from None


def refusal(reply: Reply, refused: dict[str, Reply] | None = None) -> DeliveryError:
    """Return the error for a reply that ends a transaction: transient unless it is a 5xx."""
    kind = PermanentDeliveryError if 500 <= reply.code < 600 else TransientDeliveryError
    return kind(reply.text, reply_code=reply.code, refused=refused)


def all_refused(refused: dict[str, Reply]) -> DeliveryError:
    """Return the error for a mail that no recipient's server took.

    Transient when one of them may take it later.
    """
    replies = list(refused.values())
    return refusal(next((r for r in replies if r.is_transient), replies[0]), refused)
