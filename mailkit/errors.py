"""Every error that mailkit raises.

::

    MailError                       (code, detail)
    ├── MalformedMessage            beyond the limits or not a message at all → quarantine
    ├── InvalidAddress              an address that must not reach a header or an envelope
    ├── InvalidArgument             control characters or the like in a protocol argument
    ├── ConnectionFailed            could not reach the server, or it went away
    │   ├── HostNotFound
    │   ├── HostNotAllowed          the network or port is not one the environment allows (SSRF guard)
    │   ├── ConnectionRefused
    │   ├── ConnectionTimeout
    │   ├── ConnectionLost          in the middle of a dialogue
    │   ├── TlsFailed
    │   │   └── CertificateInvalid  (reason: expired | self-signed | hostname | untrusted)
    │   └── ProtocolViolation       the server says what the RFC forbids; also beyond our caps
    ├── AuthenticationFailed        the server refused the login
    ├── MailboxUnavailable          folder missing, read-only where writing was needed, quota full
    ├── UidValidityChanged          RFC 3501 §2.3.1.1: all UIDs of the folder are void
    └── DeliveryError               (reply_code, reply_text)
        ├── TransientDeliveryError  4xx, or lost before the final dot: try again
        ├── PermanentDeliveryError  5xx: will never work as it is
        └── UncertainDelivery       lost between the final dot and the reply (RFC 1047): never resend blindly

``code`` is stable and translatable by the caller; ``detail`` is the server's own words, cleaned of control
characters and cut, safe to store and (escaped) to show. Neither ever holds a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailkit.delivery import Reply


def clean_detail(text: str | bytes, limit: int = 500) -> str:
    """Return a server's words as one printable line of at most ``limit`` characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text)[:limit].strip()


class MailError(Exception):
    """Base of all. ``code`` names the case; ``detail`` holds the other side's words."""

    code = "mail_error"

    def __init__(self, detail: str | bytes = "", *, code: str | None = None) -> None:
        self.detail = clean_detail(detail)
        if code:
            self.code = code
        super().__init__(self.detail or self.code)


class MalformedMessage(MailError):
    """The bytes exceed the limits of the parser or are no message at all."""

    code = "malformed_message"


class InvalidAddress(MailError):
    """Not an addr-spec of RFC 5322 §3.4.1 that may stand in a header or an envelope."""

    code = "invalid_address"


class InvalidArgument(MailError):
    """A value that must never enter a protocol command, such as one holding CR, LF or NUL."""

    code = "invalid_argument"


class ConnectionFailed(MailError):
    """The server could not be reached or spoken with."""

    code = "connection_failed"


class HostNotFound(ConnectionFailed):
    """The name does not resolve."""

    code = "host_not_found"


class HostNotAllowed(ConnectionFailed):
    """The address or port lies outside what the environment allows to dial."""

    code = "host_not_allowed"


class ConnectionRefused(ConnectionFailed):
    """Nothing listens on that port, or a firewall rejects."""

    code = "connection_refused"


class ConnectionTimeout(ConnectionFailed):
    """The server stayed silent longer than the time-out."""

    code = "connection_timeout"


class ConnectionLost(ConnectionFailed):
    """The connection broke in the middle of a dialogue."""

    code = "connection_lost"


class TlsFailed(ConnectionFailed):
    """No TLS could be agreed on, or the server does not offer the STARTTLS that the account demands."""

    code = "tls_failed"


class CertificateInvalid(TlsFailed):
    """The certificate does not verify. ``reason``: expired, self-signed, hostname or untrusted."""

    code = "certificate_invalid"

    def __init__(self, detail: str | bytes = "", *, reason: str = "untrusted") -> None:
        self.reason = reason
        super().__init__(detail, code=f"certificate_{reason.replace('-', '_')}")


class ProtocolViolation(ConnectionFailed):
    """The server breaks the protocol or exceeds our caps; the session is over."""

    code = "protocol_violation"


class AuthenticationFailed(MailError):
    """The server refused user name, password or token."""

    code = "authentication_failed"


class MailboxUnavailable(MailError):
    """The folder does not exist, may not be written, or is full."""

    code = "mailbox_unavailable"


class UidValidityChanged(MailError):
    """UIDVALIDITY is not what the caller expects: no UID it holds may be used (RFC 3501 §2.3.1.1)."""

    code = "uid_validity_changed"


class DeliveryError(MailError):
    """A delivery did not succeed. ``reply_code`` is 0 where no reply came.

    ``refused`` holds each recipient's own reply where all of them were refused.
    """

    code = "delivery_failed"

    def __init__(
        self,
        detail: str | bytes = "",
        *,
        reply_code: int = 0,
        code: str | None = None,
        refused: Mapping[str, Reply] | None = None,
    ) -> None:
        self.reply_code = reply_code
        self.refused = dict(refused or {})
        super().__init__(detail, code=code)


class TransientDeliveryError(DeliveryError):
    """A 4xx reply, or the connection broke before the final dot: the same bytes may be tried again."""

    code = "delivery_transient"


class PermanentDeliveryError(DeliveryError):
    """A 5xx reply: these bytes to this recipient will not be accepted."""

    code = "delivery_permanent"


class UncertainDelivery(DeliveryError):
    """The final dot was sent and no reply came: the server may or may not have taken it (RFC 1047)."""

    code = "delivery_uncertain"
