"""Signing in with an OAuth access token: OAUTHBEARER (RFC 7628) and XOAUTH2, which came before it.

The token is said once, as the initial response. A server that refuses it tells why in a challenge; the answer
to that is the mechanism's ``dismissal``, after which the server ends the exchange. Never the token again
(reliability.md §1, trap 2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from mailkit.arguments import reject_controls
from mailkit.errors import AuthenticationFailed, InvalidArgument

_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*\Z")


@dataclass(frozen=True)
class BearerLogin:
    """User name and access token (RFC 6750 §2.1). The token is in no ``repr``."""

    username: str
    access_token: str = field(repr=False)

    def __post_init__(self) -> None:
        reject_controls(self.username, "The user name")
        if not _B64TOKEN.match(self.access_token):
            raise InvalidArgument("The access token holds characters that no token has")

    @property
    def secret(self) -> str:
        """What no log and no error may quote."""
        return self.access_token


@dataclass(frozen=True)
class BearerMechanism:
    """A SASL mechanism: name, initial response for (login, host, port), and the answer to a challenge."""

    name: str
    initial_response: Callable[[BearerLogin, str, int], bytes]
    dismissal: bytes


def _oauthbearer(login: BearerLogin, host: str, port: int) -> bytes:
    user = login.username.replace("=", "=3D").replace(",", "=2C")  # saslname, RFC 5801 §4
    return f"n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {login.access_token}\x01\x01".encode()


def _xoauth2(login: BearerLogin, _host: str, _port: int) -> bytes:
    return f"user={login.username}\x01auth=Bearer {login.access_token}\x01\x01".encode()


_MECHANISMS = (
    BearerMechanism("OAUTHBEARER", _oauthbearer, b"\x01"),  # the dummy response of RFC 7628 §3.2.3
    BearerMechanism("XOAUTH2", _xoauth2, b""),
)


def choose_mechanism(offered: Collection[str]) -> BearerMechanism:
    """Return the first mechanism whose name, in upper case, is among ``offered``.

    Raises AuthenticationFailed ``oauth-not-offered``.
    """
    found = next((mechanism for mechanism in _MECHANISMS if mechanism.name in offered), None)
    if found is None:
        raise AuthenticationFailed("the server offers no sign-in by token", code="oauth-not-offered")
    return found
