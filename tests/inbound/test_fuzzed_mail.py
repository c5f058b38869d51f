"""Damaged mail through the whole import: each ends somewhere, and the ledger adds up."""

from __future__ import annotations

from fuzz.mutations import corpus, mutated
from inbound.reasons import Reason
from inbound.selectors import ledger_totals
from tests.inbound.conftest import State

COUNT = 200


def damaged_mails() -> list[bytes]:
    """Different mails; a server refuses to store an empty one or one with NULs, so those have none."""
    originals = corpus()
    mails = (mutated(originals, seed=2026, number=number).replace(b"\0", b"") for number in range(2 * COUNT))
    return list(dict.fromkeys(mail for mail in mails if mail))[:COUNT]


def test_two_hundred_damaged_mails_end_in_tickets_or_quarantine(station):
    mails = damaged_mails()
    station.deliver(*mails)
    station.poll()  # checks the ledger against the server, its flags, and that no import failed
    assert len(station.states()) == COUNT
    assert set(station.states()) <= {State.IMPORTED, State.BOUNCE, State.QUARANTINED, State.DUPLICATE}
    assert not station.rows().filter(reason=Reason.IMPORT_FAILED).exists()
    assert sum(ledger_totals().values()) == COUNT
    assert station.tickets().exists()
    for row, raw in zip(station.rows().select_related("raw"), mails, strict=True):
        assert row.raw.verifies()
        assert len(row.raw.content_bytes) >= len(raw)
