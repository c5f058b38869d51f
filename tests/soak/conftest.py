"""Servers for the scenarios of this test process, and scenarios by fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from django.db import connection

from soak.outcomes import Outcome
from soak.services import Services, open_services

ROUNDS = 2


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """All of them; the database is the tests', which others use, too."""
    with open_services(owns_database=False) as opened:
        yield opened


@pytest.fixture
def assert_all_hold(services, original) -> Callable[..., None]:
    """Run scenarios for two rounds: each holds, and ``at_least`` so many mails come through.

    On SQLite only those below ``on_sqlite``: half of the faults are PostgreSQL's.
    """

    def run_all(
        run: Callable[[int, Services, int], Outcome], seeds: Sequence[int], *, at_least: int, on_sqlite: int
    ) -> None:
        if connection.vendor == "sqlite":
            seeds = [seed for seed in seeds if seed < on_sqlite] or pytest.skip("a few scenarios will do")
        for seed in seeds:
            outcome = run(seed, services, ROUNDS)
            assert outcome.holds, "\n".join([f"scenario {seed}", *outcome.faults, *outcome.findings])
            assert outcome.done >= at_least
            assert len(outcome.faults) >= ROUNDS

    return run_all
