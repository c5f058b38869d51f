"""One poll of one account: its lease, the settings read under it, what it counted and when it must stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import transaction

from inbound.autoresponder import sender_key
from inbound.models import AutoresponderOptions, IncomingMessage
from jobs import draining, leases
from jobs.leases import HeldLease
from mailaccounts.models import MailAccount
from mailaccounts.selectors import all_own_addresses, own_addresses
from mailkit.addresses import normalise
from tickets.models import TicketOptions

State = IncomingMessage.State


@dataclass(slots=True)
class Counts:
    """What became of the messages of one poll."""

    new: int = 0
    imported: int = 0
    duplicate: int = 0
    excluded: int = 0
    bounce: int = 0
    quarantined: int = 0
    deleted: int = 0

    def add(self, state: str, count: int = 1) -> None:
        """Count messages that ended in ``state``; other states are not reported."""
        if state in _REPORTED:
            setattr(self, state, getattr(self, state) + count)


_REPORTED = frozenset({State.IMPORTED, State.DUPLICATE, State.EXCLUDED, State.BOUNCE, State.QUARANTINED})


@dataclass(slots=True)
class Visit:
    """What every stage of a poll needs; the settings are those at its start, and saving them ends it (R39).

    ``own`` are the account's own addresses, normalised; ``own_keys`` those of all accounts as senders are
    counted.
    """

    account: MailAccount
    options: TicketOptions
    autoresponder: AutoresponderOptions | None
    lease: HeldLease
    ends_at: float | None
    own: frozenset[str]
    own_keys: frozenset[str]
    counts: Counts = field(default_factory=Counts)
    has_more: bool = False
    # Rows whose message the server refused during this poll: one attempt a poll.
    refused: set[int] = field(default_factory=set)
    warning: str = ""
    _domains: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def begin(cls, account: MailAccount, lease: HeldLease, *, seconds: float | None) -> Visit:
        """Read the settings under ``lease``; the poll ends by itself after ``seconds`` (None: when all is
        done).
        """
        return cls(
            account=account,
            options=TicketOptions.objects.filter(account=account).first() or TicketOptions(account=account),
            autoresponder=AutoresponderOptions.objects.filter(account=account, is_enabled=True).first(),
            lease=lease,
            ends_at=None if seconds is None else time.monotonic() + seconds,
            own=frozenset(map(normalise, own_addresses(account))),
            own_keys=frozenset(map(sender_key, all_own_addresses())),
        )

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """A transaction that begins by renewing the lease. Raises :class:`jobs.leases.LeaseLost`."""
        with transaction.atomic():
            leases.renew(self.lease)
            yield

    def is_over(self) -> bool:
        """Whether time is up or the worker is to stop; what is left is for the next poll."""
        if draining.has_begun() or (self.ends_at is not None and time.monotonic() >= self.ends_at):
            self.has_more = True
        return self.has_more

    def sending_domain(self, address: str, look_up: Callable[[str], str | None]) -> str | None:
        """What ``look_up`` says about sending from ``address``, asked once a poll."""
        if address not in self._domains:
            self._domains[address] = look_up(address)
        return self._domains[address]
