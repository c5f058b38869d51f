"""What IMAP and SMTP sessions share: the login, and a connected socket to a vetted address."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mailkit.arguments import reject_controls
from mailkit.bearer import BearerLogin
from mailkit.errors import HostNotAllowed
from mailkit.network import NetworkPolicy, Security, ascii_host, dial, resolve
from mailkit.tls import certificate_facts, start_tls

OnStage = Callable[[str, Mapping[str, str]], None]


def _unobserved(_stage: str, _facts: Mapping[str, str]) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class PasswordLogin:
    """User name and password. The password is in no ``repr``, hence in no log line and no traceback."""

    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        reject_controls(self.username, "The user name")
        reject_controls(self.password, "The password")

    @property
    def secret(self) -> str:
        """What no log and no error may quote."""
        return self.password


Login = PasswordLogin | BearerLogin


@dataclass(frozen=True)
class Endpoint:
    """A server: where it is, how it is secured, and what the environment allows.

    ``timeout`` is seconds of silence.

    ``security``: ``"tls"`` from the first byte, ``"starttls"`` mandatory (never opportunistic), ``"none"``
    only inside ``policy.plaintext_networks``. ``ca_file``: PEM of a company's own authority, trusted besides
    the system's. ``on_stage`` is told each stage as it is reached, for tests of settings: ``resolved``
    (addresses), ``connected`` (port) and ``encrypted`` (version, valid_until).
    """

    host: str
    port: int
    security: Security
    policy: NetworkPolicy
    ca_file: str | None = None
    timeout: float = 30.0
    on_stage: OnStage = field(default=_unobserved, compare=False, repr=False, kw_only=True)


def check_login(endpoint: Endpoint, login: Login | None) -> None:
    """Raise HostNotAllowed where an access token would travel unencrypted: in no network (RFC 7628 §4)."""
    if isinstance(login, BearerLogin) and endpoint.security == "none":
        raise HostNotAllowed("access tokens need an encrypted connection", code="plaintext_not_allowed")


def connect(endpoint: Endpoint) -> socket.socket:
    """Resolve, vet, dial and, with security ``"tls"``, wrap, all within ``endpoint.timeout`` seconds.

    Raises HostNotFound, HostNotAllowed, ConnectionRefused, ConnectionTimeout, CertificateInvalid, TlsFailed.
    """
    deadline = time.monotonic() + endpoint.timeout
    sock = connect_plain(endpoint)
    if endpoint.security != "tls":
        return sock
    left = max(deadline - time.monotonic(), 0.1)
    encrypted = start_tls(sock, ascii_host(endpoint.host), endpoint.ca_file, left)
    if endpoint.on_stage is not _unobserved:  # reading the certificate costs
        endpoint.on_stage("encrypted", certificate_facts(encrypted))
    return encrypted


def connect_plain(endpoint: Endpoint) -> socket.socket:
    """Do the same up to, and without, TLS: for a caller who wraps the socket itself."""
    deadline = time.monotonic() + endpoint.timeout
    addresses = resolve(endpoint.host, endpoint.port, endpoint.policy, endpoint.timeout)
    if endpoint.security == "none" and not all(endpoint.policy.allows_plaintext(a.ip) for a in addresses):
        raise HostNotAllowed("unencrypted connections are not allowed there", code="plaintext_not_allowed")
    endpoint.on_stage("resolved", {"addresses": ", ".join(str(address.ip) for address in addresses)})
    sock = dial(addresses, max(deadline - time.monotonic(), 0.1))
    endpoint.on_stage("connected", {"port": str(endpoint.port)})
    return sock
