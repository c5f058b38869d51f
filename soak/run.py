"""Inject faults until enough mail went through: ``python -m soak.run [--runs 10000] [--seed 1]``.

Scenarios are numbered from ``--seed`` on; the number alone decides the mails and the faults. Prints every
finding with its scenario, then the sums in one line. The exit status tells whether everything held.
``--only N`` runs the scenarios of that number alone and prints their faults in order.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from soak.outcomes import KINDS, Outcome

ROOT: Final = Path(__file__).resolve().parent.parent
_REPORT_SECONDS: Final = 60
_MAX_FINDINGS: Final = 20  # more of them say nothing new


class Schedule:
    """Hands out scenarios, the kind that lags behind first, until each kind has done ``runs``; adds up."""

    def __init__(self, *, runs: int, seed: int, kinds: list[str]) -> None:
        self._runs, self._lock = runs, threading.Lock()
        self._next = dict.fromkeys(kinds, seed)
        self.sums = {kind: outcome() for kind, outcome in KINDS.items()}
        self.scenarios = self._findings = 0
        self._reported_at = time.monotonic()

    def next(self) -> tuple[str, int] | None:
        """Kind and number of the next scenario, or None when enough was done."""
        with self._lock:
            lagging = [kind for kind in self._next if self.sums[kind].done < self._runs]
            if not lagging or self._findings >= _MAX_FINDINGS:
                return None
            kind = min(lagging, key=lambda one: self.sums[one].done)
            number = self._next[kind]
            self._next[kind] += 1
            return kind, number

    def add(self, kind: str, number: int, outcome: Outcome) -> None:
        """Count a scenario, and print what was found in it."""
        with self._lock:
            self.sums[kind] += outcome
            self.scenarios += 1
            if not outcome.holds:
                self._findings += 1
                _say(describe(kind, number, outcome))
            if time.monotonic() - self._reported_at > _REPORT_SECONDS:
                self._reported_at = time.monotonic()
                _say(self.line())

    def line(self) -> str:
        """The sums, in the words of the last line."""
        return " · ".join(str(outcome) for outcome in self.sums.values())

    @property
    def holds(self) -> bool:
        """Whether as much was done as was wanted, and everything held."""
        done = all(self.sums[kind].done >= self._runs for kind in self._next)
        return done and not self._findings


def main() -> int:
    """Run as the command line says; 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kind", choices=list(KINDS), help="one kind of scenario instead of both")
    parser.add_argument("--only", type=int, metavar="N")
    given = parser.parse_args()
    kinds = [given.kind] if given.kind else list(KINDS)
    if given.only is not None:
        return run_alone(kinds, given.only)
    started = time.monotonic()
    schedule = Schedule(runs=given.runs, seed=given.seed, kinds=kinds)
    with ThreadPoolExecutor(given.processes) as pool:
        hosts = [pool.submit(_work, schedule) for _ in range(given.processes)]
    _say(f"{schedule.scenarios} scenarios from {given.seed} on in {time.monotonic() - started:.0f} s")
    _say(schedule.line())
    for host in hosts:
        host.result()  # raises where one ended over a scenario
    return 0 if schedule.holds else 1


def run_alone(kinds: list[str], number: int) -> int:
    """Run one scenario of each kind and tell everything about it."""
    outcomes = []
    with _host() as host:
        for kind in kinds:
            outcomes.append(_ask(host, kind, number))
            _say("\n".join([*outcomes[-1].faults, describe(kind, number, outcomes[-1])]))
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def describe(kind: str, number: int, outcome: Outcome) -> str:
    """What was found in a scenario, and how to see it again."""
    lines = "".join(f"\n  {finding}" for finding in outcome.findings)
    return f"--- {kind} {number} (python -m soak.run --kind {kind} --only {number}): {outcome}{lines}"


def _work(schedule: Schedule) -> None:
    with _host() as host:
        while scenario := schedule.next():
            schedule.add(*scenario, _ask(host, *scenario))


@contextmanager
def _host() -> Iterator[subprocess.Popen[str]]:
    """A process that runs scenarios on a database and a broker of its own."""
    command = [sys.executable, "scripts/with_services.py", sys.executable, "-m", "soak.host"]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    host = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with host:
        yield host


def _ask(host: subprocess.Popen[str], kind: str, number: int) -> Outcome:
    if host.stdin is None or host.stdout is None:
        raise RuntimeError("opened with pipes")
    host.stdin.write(f"{kind} {number}\n")
    host.stdin.flush()
    answer = host.stdout.readline()
    if not answer:
        raise RuntimeError(f"the process ended over {kind} {number}")
    values: dict[str, Any] = json.loads(answer)
    for name in ("faults", "findings"):
        values[name] = tuple(values[name])
    return KINDS[kind](**values)


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
