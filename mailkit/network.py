"""Which hosts may be dialled, and dialling exactly the addresses that were vetted.

A mail server's name comes from a form. Whoever fills it in must not reach the metadata service of the cloud,
the database on loopback or the printer next door (server-side request forgery). So a name is resolved once,
*every* address it resolves to is checked, and the connection goes to a checked address, never to the name
again: an answer that changes between check and use (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Literal, Self

from mailkit.arguments import reject_controls
from mailkit.errors import (
    ConnectionFailed,
    ConnectionRefused,
    ConnectionTimeout,
    HostNotAllowed,
    HostNotFound,
    InvalidArgument,
)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK_NETWORKS: tuple[IPNetwork, ...] = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
)

# Never dialled, whatever the environment lists: "this" network and unspecified, link-local (where the clouds
# keep their metadata service), carrier-grade NAT (Alibaba's metadata), Azure's, Oracle's and Amazon's own
# addresses, multicast and broadcast, and the tunnels whose inner address would escape our look at it.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.192/32",
        "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/128", "fe80::/10", "fec0::/10", "ff00::/8",
        "fd00:ec2::254/128", "2001::/32", "64:ff9b:1::/48",
    )
)  # fmt: skip
_GLOBAL_UNICAST_V6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_V4_COMPATIBLE = ipaddress.ip_network("::/96")
_V6_DOCUMENTATION = ipaddress.ip_network("3fff::/20")

_MAX_ADDRESSES_DIALLED = 6
_FIRST_ATTEMPTS_SECONDS = 5.0

# A thousand accounts of one provider ask for the same name at once, each look-up in a thread of its own.
_KEPT_SECONDS = 5.0
_MOST_KEPT = 1_000
_kept: dict[str, tuple[float, list[IPAddress]]] = {}


def unwrap(ip: IPAddress) -> IPAddress:
    """Return the IPv4 address inside a mapped, compatible, NAT64 (RFC 6052) or 6to4 one, else ``ip``."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    inner = ip.ipv4_mapped or ip.sixtofour
    if inner is not None:
        return inner
    if ip in _NAT64 or (ip in _V4_COMPATIBLE and int(ip) > 1):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _is_public(ip: IPAddress) -> bool:
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in _GLOBAL_UNICAST_V6 or ip in _V6_DOCUMENTATION):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _is_in(ip: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(ip in network for network in networks)


def _networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    networks: list[IPNetwork] = []
    for text in texts:
        if text == "loopback":
            networks.extend(LOOPBACK_NETWORKS)
        else:
            networks.append(ipaddress.ip_network(text))
    return tuple(networks)


@dataclass(frozen=True)
class NetworkPolicy:
    """What the environment allows to dial.

    ``allowed_networks`` are networks beyond the public ones, such as the company's LAN;
    ``plaintext_networks`` those where a connection without TLS is acceptable; ``allow_loopback`` belongs to
    the demo and to tests.
    """

    allowed_networks: tuple[IPNetwork, ...]
    allowed_ports: Container[int]
    plaintext_networks: tuple[IPNetwork, ...] = ()
    allow_loopback: bool = False
    allow_public: bool = True

    @classmethod
    def from_strings(
        cls, networks: Iterable[str], *, ports: Container[int], plaintext: Iterable[str] = ()
    ) -> Self:
        """Build from the environment's words: ``"public"``, ``"loopback"``, networks as ``"10.0.0.0/8"``.

        Raises ValueError for anything else, and for a network written with host bits set.
        """
        words = [word.strip().lower() for word in networks if word.strip()]
        return cls(
            allowed_networks=_networks(word for word in words if word not in {"public", "loopback"}),
            allowed_ports=ports,
            plaintext_networks=_networks(word.strip().lower() for word in plaintext if word.strip()),
            allow_loopback="loopback" in words,
            allow_public="public" in words,
        )

    def is_allowed(self, ip: IPAddress | str) -> bool:
        """Tell whether ``ip`` may be dialled."""
        ip = unwrap(ipaddress.ip_address(ip) if isinstance(ip, str) else ip)
        if _is_in(ip, _NEVER):
            return False
        if _is_in(ip, LOOPBACK_NETWORKS):
            return self.allow_loopback
        return (self.allow_public and _is_public(ip)) or _is_in(ip, self.allowed_networks)

    def allows_plaintext(self, ip: IPAddress) -> bool:
        """Tell whether ``ip`` may be spoken to without TLS."""
        return _is_in(unwrap(ip), self.plaintext_networks)


@dataclass(frozen=True)
class VettedAddress:
    """An address that passed the policy.

    ``host`` is the name to verify in the certificate; ``ip`` is what is dialled.
    """

    host: str
    port: int
    ip: IPAddress


def resolve(host: str, port: int, policy: NetworkPolicy, timeout: float) -> list[VettedAddress]:
    """Resolve ``host`` within ``timeout`` seconds and vet every address it has.

    Raises HostNotFound, ConnectionTimeout, HostNotAllowed (one of the addresses, or the port, is not allowed)
    and InvalidArgument (no host name at all).
    """
    name = ascii_host(host)
    if port not in policy.allowed_ports:
        raise HostNotAllowed(f"port {port}", code="port_not_allowed")
    addresses = _literal(name) or _addresses_of(name, port, timeout)
    if not all(policy.is_allowed(ip) for ip in addresses):
        # The address is not named: that would turn the error into a way to read internal DNS.
        raise HostNotAllowed(name)
    return [VettedAddress(host=name, port=port, ip=ip) for ip in addresses]


def ascii_host(host: str) -> str:
    """Return ``host`` in the form that DNS and certificates use (IDNA, no brackets).

    Raises InvalidArgument.
    """
    name = reject_controls(host.strip(), "The server's name").removeprefix("[").removesuffix("]").rstrip(".")
    if not name or " " in name or "%" in name or "/" in name:
        raise InvalidArgument("The server's name is not a host name")
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise InvalidArgument("The server's name is not a host name") from None


def _literal(name: str) -> list[IPAddress]:
    try:
        return [ipaddress.ip_address(name)]
    except ValueError:
        return []


def _addresses_of(name: str, port: int, timeout: float) -> list[IPAddress]:
    """What DNS says, or said a moment ago; vetted each time by the policy of whoever asks."""
    now = time.monotonic()
    valid_until, addresses = _kept.get(name, (now, []))
    if now >= valid_until:
        addresses = _look_up(name, port, timeout)
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[name] = (now + _KEPT_SECONDS, addresses)
    return addresses


def _look_up(name: str, port: int, timeout: float) -> list[IPAddress]:
    answers: queue.SimpleQueue[list[IPAddress] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_getaddrinfo(name, port))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    # getaddrinfo knows no time-out. A daemon thread may outlive ours without keeping the process alive.
    threading.Thread(target=ask, name="mailkit-resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise ConnectionTimeout(f"no answer from DNS for {name}", code="dns_timeout") from None
    if isinstance(answer, OSError) or not answer:
        raise HostNotFound(name)
    return answer


def _getaddrinfo(name: str, port: int) -> list[IPAddress]:
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(
        dict.fromkeys(ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found)
    )


def dial(addresses: list[VettedAddress], timeout: float) -> socket.socket:
    """Connect to the first address that answers, all within ``timeout`` seconds.

    All but the last get at most five seconds each, so that a broken IPv6 route delays and does not defeat.
    Raises ConnectionRefused, ConnectionTimeout or ConnectionFailed, by what the last address said.
    """
    deadline = time.monotonic() + timeout
    error: ConnectionFailed = HostNotFound("no address")
    tried = addresses[:_MAX_ADDRESSES_DIALLED]
    for position, address in enumerate(tried, start=1):
        left = deadline - time.monotonic()
        attempt = left if position == len(tried) else min(left, _FIRST_ATTEMPTS_SECONDS)
        outcome = _dial_one(address, max(attempt, 0.01))
        if isinstance(outcome, socket.socket):
            return outcome
        error = outcome
    raise error


def _dial_one(address: VettedAddress, timeout: float) -> socket.socket | ConnectionFailed:
    where = f"{address.host} port {address.port}"
    try:
        sock = socket.create_connection((str(address.ip), address.port), timeout)
    except TimeoutError:
        return ConnectionTimeout(where)
    except ConnectionRefusedError:
        return ConnectionRefused(where)
    except OSError as error:
        return ConnectionFailed(f"{where}: {error.strerror or error}", code="host_unreachable")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


Security = Literal["tls", "starttls", "none"]
