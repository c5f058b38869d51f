"""Reading the ledger: where every message ended, and whether it adds up to what the server counts (I1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Abs

from inbound.models import IncomingMessage, Mailbox
from inbound.reasons import Reason

State = IncomingMessage.State

_FINAL = (State.IMPORTED, State.DUPLICATE, State.EXCLUDED, State.BOUNCE, State.QUARANTINED)


@dataclass(frozen=True, slots=True)
class Excluded:
    """How many messages one setting excluded."""

    reason: Reason
    count: int


@dataclass(frozen=True, slots=True)
class Balance:
    """One folder: the server's count, and where its messages stand. Messages no longer on the server are left
    out.
    """

    mailbox: Mailbox
    on_server: int
    imported: int = 0
    duplicate: int = 0
    bounce: int = 0
    quarantined: int = 0
    excluded: list[Excluded] = field(default_factory=list)
    waiting: int = 0

    @property
    def accounted(self) -> int:
        """Sum of all places."""
        ended = self.imported + self.duplicate + self.bounce + self.quarantined
        return ended + sum(one.count for one in self.excluded) + self.waiting

    @property
    def adds_up(self) -> bool:
        """Whether every message on the server has its place."""
        return self.accounted == self.on_server


def ledger_totals() -> dict[str, int]:
    """Messages of all accounts by where they ended: imported, duplicate, excluded, bounce, quarantined."""
    counted = (
        IncomingMessage.objects.filter(state__in=_FINAL)
        .values_list("state")
        .annotate(n=Count("pk"))
        .order_by()
    )
    return {state.value: 0 for state in _FINAL} | dict(counted)


def ledger_balance(mailbox: Mailbox) -> Balance:
    """The balance of one folder as of its last poll."""
    return ledger_balances([mailbox])[0]


def ledger_balances(mailboxes: Iterable[Mailbox]) -> list[Balance]:
    """The balances of several folders, in one query."""
    boxes = list(mailboxes)
    present = Q(pk__in=[])
    for box in boxes:
        present |= Q(mailbox=box, uid_validity=box.uid_validity)
    rows = IncomingMessage.objects.filter(present, server_copy__in=IncomingMessage.ON_SERVER)
    grouped = rows.values_list("mailbox_id", "state", "reason").annotate(n=Count("pk")).order_by()
    counts: dict[int, dict[tuple[str, str], int]] = {}
    for mailbox_id, state, reason, n in grouped:
        counts.setdefault(mailbox_id, {})[state, reason] = n
    return [_balance(box, counts.get(box.pk, {})) for box in boxes]


def _balance(mailbox: Mailbox, counts: dict[tuple[str, str], int]) -> Balance:
    def total(*states: str) -> int:
        return sum(n for (state, _), n in counts.items() if state in states)

    excluded = [
        Excluded(Reason(reason), n)
        for (state, reason), n in sorted(counts.items())
        if state == State.EXCLUDED
    ]
    return Balance(
        mailbox=mailbox,
        on_server=mailbox.server_messages,
        imported=total(State.IMPORTED),
        duplicate=total(State.DUPLICATE),
        bounce=total(State.BOUNCE),
        quarantined=total(State.QUARANTINED),
        excluded=excluded,
        waiting=total(*IncomingMessage.UNFINISHED) + mailbox.undiscovered,
    )


def ledger_difference() -> int:
    """Messages by which servers and ledger differ, over all folders, as of their last polls; 0 is right (I1).

    Between the steps of a poll it may be off for a moment.
    """
    present = Q(messages__uid_validity=F("uid_validity"), messages__server_copy__in=IncomingMessage.ON_SERVER)
    polled = Mailbox.objects.filter(seen_at__isnull=False).annotate(known=Count("messages", filter=present))
    differences = polled.annotate(by=Abs(F("server_messages") - F("undiscovered") - F("known")))
    total: int | None = differences.aggregate(total=Sum("by"))["total"]
    return total or 0


def quarantine_count() -> int:
    """Messages in quarantine that somebody should look at."""
    return IncomingMessage.objects.in_quarantine().count()
