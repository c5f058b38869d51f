"""Which account sends (product §3): pure rules over plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mailkit.addresses import domain_of, normalise


@dataclass(frozen=True, slots=True)
class Route:
    """What the rules need to know of one active account; addresses and patterns are normalised."""

    account_id: int
    email: str
    sender_address: str = ""
    patterns: frozenset[str] = frozenset()
    sends: bool = False
    is_standard: bool = False
    sender_name: str = ""
    copies_sent: bool = False
    client_alias: str = ""


def carrier_of(address: str, routes: Iterable[Route]) -> Route | None:
    """The account that transports mail from ``address``, or None: then nothing may leave.

    First match wins: e-mail address, Sender E-Mailadresse, further sender by address, by domain; only
    accounts with SMTP on. Among equals the standard account comes last, as it carries what nobody else
    carries.
    """
    candidates = sorted((r for r in routes if r.sends), key=lambda r: (r.is_standard, r.account_id))
    return _first(candidates, [rule for _, rule in _carrier_rules(address)])


def explain(address: str, carrier: Route) -> str:
    """Which rule made ``carrier`` transport mail from ``address``; for administrators, in English."""
    return next(
        (words for words, rule in _carrier_rules(address) if rule(carrier)), "it was named explicitly"
    )


def owner_of(address: str, routes: Iterable[Route]) -> Route | None:
    """The account whose own address it is: display name, Sent copy and rights follow it, SMTP on or off."""
    wanted = normalise(address)
    return _first(sorted(routes, key=lambda r: r.account_id), [_is_email(wanted), _is_sender(wanted)])


Rule = Callable[[Route], bool]


def _carrier_rules(address: str) -> list[tuple[str, Rule]]:
    wanted = normalise(address)
    return [
        ("it is the account's e-mail address", _is_email(wanted)),
        ("it is the account's sender address", _is_sender(wanted)),
        ("the account lists the address under further senders", _lists(wanted)),
        ("the account lists the domain under further senders", _lists(f"@{domain_of(wanted)}")),
    ]


def _first(routes: list[Route], rules: list[Rule]) -> Route | None:
    return next((route for rule in rules for route in routes if rule(route)), None)


def _is_email(wanted: str) -> Rule:
    return lambda route: bool(wanted) and route.email == wanted


def _is_sender(wanted: str) -> Rule:
    return lambda route: bool(wanted) and route.sender_address == wanted


def _lists(pattern: str) -> Rule:
    return lambda route: pattern in route.patterns
