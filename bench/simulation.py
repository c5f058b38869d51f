"""Simulate the scheduling of thousands of accounts: ``python -m bench.simulation [--write docs/scaling.md]``.

What each step costs stands in ``bench/unit_costs.json``; ``python -m bench.unit_costs`` measures it anew, and
``python -m bench.scheduling_run`` compares the model with real workers on a real mail server.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()  # the model takes its limits from the product

from bench.simulation_model import Account, Costs, World, percentile  # noqa: E402
from bench.table import Table, write_between_markers  # noqa: E402

UNIT_COSTS = Path(__file__).with_name("unit_costs.json")
MINUTE = 60.0
LENGTH = 30 * MINUTE
WARM_UP = 5 * MINUTE
"""Mail that arrives earlier is not counted: dead servers are not known as such before."""
MAILS_AN_HOUR = 6.0
SENDS_A_MINUTE_PER_1000 = 20.0
LAG_BUDGET = 90.0
FAIRNESS_BUDGET = 2.0

Disturbance = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Result:
    """Lag, from arrival on the server to the ticket, of accounts that nothing is wrong with; seconds."""

    median: float
    p95: float
    p99: float
    cores: float
    occupied: float
    person_p95: float
    waiting: int


def main() -> int:
    """Simulate everything, print it, fail where a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--write", type=Path, help="put the tables into this file, between its markers")
    given = parser.parse_args()
    costs = unit_costs()
    sizes, workers_needed = size_table(costs)
    disturbed, worst = disturbance_table(costs, workers_needed)
    text = f"{cost_table(costs)}\n\n{sizes}\n\n{disturbed}"
    print(text)
    if given.write:
        write_between_markers(given.write, "simulated", text)
    print(f"\nfairness {worst:.2f}× (budget ≤ {FAIRNESS_BUDGET:.0f}×) with one storm or one dead server")
    return 0 if worst <= FAIRNESS_BUDGET else 1


def unit_costs() -> Costs:
    """What was measured last."""
    measured: dict[str, Any] = json.loads(UNIT_COSTS.read_text(encoding="utf-8"))
    return Costs(**measured["seconds"])


def simulate(
    accounts: int, workers: int, costs: Costs, disturb: Disturbance = lambda _world: None, *, seed: int = 1
) -> Result:
    """Half an hour of so many accounts, each with six mails an hour, and people sending meanwhile."""
    world = World([Account(number) for number in range(accounts)], costs, workers=workers, seed=seed)
    for account in world.accounts:
        world.arrive_randomly(account, MAILS_AN_HOUR / 3600, LENGTH)
    world.deliver_randomly(SENDS_A_MINUTE_PER_1000 / MINUTE * accounts / 1000, LENGTH)
    disturb(world)
    usage = world.run(LENGTH)
    healthy = [account for account in world.accounts if account.kind == "healthy"]
    lags = [lag for account in healthy for lag in account.late_lags(WARM_UP)]
    # What never arrived counts as well: as late as it is by now.
    lags += [LENGTH - at for account in healthy for at in account.waiting if at > WARM_UP]
    return Result(
        median=percentile(lags, 0.5),
        p95=percentile(lags, 0.95),
        p99=percentile(lags, 0.99),
        cores=usage.computing / LENGTH,
        occupied=usage.occupied / LENGTH / workers,
        person_p95=percentile(usage.person_waits, 0.95),
        waiting=sum(len(account.waiting) for account in healthy),
    )


# --- what disturbs the others


def storm(accounts: int = 1, mails: int = 10_000) -> Disturbance:
    """So many mails at once in each of the first ``accounts``."""

    def disturb(world: World) -> None:
        for account in world.accounts[:accounts]:
            account.kind = "storm"
            world.arrive(account, [WARM_UP] * mails)

    return disturb


def dead(share: float) -> Disturbance:
    """Servers that answer nothing at all, from the beginning; at least one."""
    return _mark(share, "dead", is_dead=True)


def slow(share: float, seconds: float = 10.0) -> Disturbance:
    """Servers that take their time."""
    return _mark(share, "slow", answers_after=seconds)


def outage(share: float, minutes: float) -> Disturbance:
    """A provider is gone for a while, and all its accounts with it."""

    def disturb(world: World) -> None:
        hit = _some(world, share)
        for account in hit:
            account.kind = "outage"
        world.at(WARM_UP, lambda: _set_dead(hit, is_dead=True))
        world.at(WARM_UP + minutes * MINUTE, lambda: _set_dead(hit, is_dead=False))

    return disturb


def _mark(share: float, kind: str, **values: Any) -> Disturbance:
    def disturb(world: World) -> None:
        for account in _some(world, share):
            account.kind = kind
            for name, value in values.items():
                setattr(account, name, value)

    return disturb


def _some(world: World, share: float) -> list[Account]:
    step = max(1, round(1 / share)) if share else len(world.accounts)
    return list(world.accounts[::step])


def _set_dead(accounts: Sequence[Account], *, is_dead: bool) -> None:
    for account in accounts:
        account.is_dead = is_dead


# --- tables

SIZES = {100: (1, 2, 4), 1_000: (2, 4, 6), 10_000: (8, 12, 16, 24)}
ONE_STORM, ONE_DEAD = "one storm of 10,000 mails", "one dead server"
DISTURBANCES: dict[str, Disturbance] = {
    ONE_STORM: storm(),
    ONE_DEAD: dead(0),
    "ten storms of 2,000 mails": storm(10, 2_000),
    "1 % dead servers": dead(0.01),
    "5 % dead servers": dead(0.05),
    "5 % slow servers (10 s)": slow(0.05),
    "half of all servers gone for 10 minutes": outage(0.5, 10),
}


def cost_table(costs: Costs) -> str:
    """What the model was told."""
    names = {
        "check": "a check of accounts that finds none due",
        "ask": "asking one account in a check: claim, TLS, login, STATUS, leaving, recording",
        "poll": "a poll that finds nothing",
        "mail": "one mail from server to ticket",
        "delivery": "one mail sent",
    }
    table = Table("unit cost", "measured")
    for name, text in names.items():
        table.add(text, f"{getattr(costs, name) * 1000:.1f} ms")
    return str(table)


def size_table(costs: Costs) -> tuple[str, dict[int, int]]:
    """Lag by accounts and workers, and how many workers keep the budget though some servers are slow."""
    table = Table(
        "accounts", "workers", "lag p50", "p95", "p99", "cores busy", "workers occupied",
        "p95 with 5 % slow servers", "a person's mail waits then, p95", "p95 ≤ 90 s",
    )  # fmt: skip
    needed: dict[int, int] = {}
    for accounts, choices in SIZES.items():
        for workers in choices:
            calm = simulate(accounts, workers, costs)
            rough = simulate(accounts, workers, costs, slow(0.05))
            is_good = max(calm.p95, rough.p95) <= LAG_BUDGET
            if is_good:
                needed.setdefault(accounts, workers)
            table.add(
                f"{accounts:,}", workers, f"{calm.median:.0f} s", f"{calm.p95:.0f} s", f"{calm.p99:.0f} s",
                f"{calm.cores:.1f}", f"{calm.occupied:.0%}", f"{rough.p95:.0f} s",
                f"{rough.person_p95:.1f} s", is_good,
            )  # fmt: skip
    return str(table), needed


def disturbance_table(costs: Costs, workers_needed: dict[int, int]) -> tuple[str, float]:
    """What others notice, and the worst ratio of one account's disturbance."""
    table = Table(
        "accounts", "workers", "disturbance", "others' lag p50", "p95", "ratio of p95",
        "a person's mail waits, p95",
    )  # fmt: skip
    worst = 0.0
    for accounts, workers in workers_needed.items():
        calm = simulate(accounts, workers, costs)
        for name, disturb in DISTURBANCES.items():
            result = simulate(accounts, workers, costs, disturb)
            ratio = result.p95 / calm.p95
            if name in (ONE_STORM, ONE_DEAD):
                worst = max(worst, ratio)
            table.add(
                f"{accounts:,}", workers, name, f"{result.median:.0f} s", f"{result.p95:.0f} s",
                f"{ratio:.2f}×", f"{result.person_p95:.1f} s",
            )  # fmt: skip
    return str(table), worst


if __name__ == "__main__":
    sys.exit(main())
