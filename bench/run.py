"""Measure what performance.md budgets: ``python -m bench.run [import poll push start memory …]``.

Without names all but ``memory``, which takes long. Servers and contestants share the cores and the disk and
take turns; PostgreSQL runs durable, as it comes. Prints the table and, with ``--record FILE``, appends it
there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import databases, importing, polling, pushing, starting
from bench.table import Result, load_note, machine, render

Benchmark = Callable[[argparse.Namespace, Path, str], Result]

BENCHMARKS: Mapping[str, Benchmark] = {
    "import": lambda given, folder, base: importing.measure(
        folder, base, count=given.count, rounds=given.rounds
    ),
    "poll": lambda given, folder, base: polling.measure(
        folder, base, count=given.accounts, rounds=given.rounds
    ),
    "push": lambda given, folder, base: pushing.measure(folder, base, count=given.arrivals),
    "start": lambda given, folder, _base: starting.measure(folder, rounds=given.rounds),
    "memory": lambda given, folder, base: importing.measure_memory(folder, base, count=given.memory_count),
}
LONG = frozenset({"memory"})


def main() -> int:
    """Measure, print, and fail where a budget is missed."""
    given = _arguments()
    load_before = os.getloadavg()[0]
    names = given.benchmarks or [name for name in BENCHMARKS if name not in LONG]
    results = [_run(name, given) for name in names]
    text = f"{render(results)}\n* {load_note(load_before)}"
    print(text)
    if given.record:
        sizes = f"{given.count} mails, {given.accounts} accounts, {given.rounds} rounds"
        with given.record.open("a", encoding="utf-8") as file:
            file.write(f"\n### {machine()}; {sizes}\n\n{text}\n")
    return 0 if all(row.is_kept for result in results for row in result.rows) else 1


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("benchmarks", nargs="*", choices=[*BENCHMARKS, []], metavar="benchmark")
    arguments.add_argument("--count", type=int, default=5_000, help="mails of the import")
    arguments.add_argument("--accounts", type=int, default=1_000, help="idle accounts")
    arguments.add_argument("--arrivals", type=int, default=20, help="mails that arrive while it watches")
    arguments.add_argument("--memory-count", type=int, default=100_000, help="mails of the large mailbox")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--record", type=Path, help="append the table to this file")
    return arguments.parse_args()


def _run(name: str, given: argparse.Namespace) -> Result:
    """Each benchmark has a folder and a PostgreSQL of its own, gone afterwards."""
    with databases.durable_server() as (folder, base):
        return BENCHMARKS[name](given, folder, base)


if __name__ == "__main__":
    sys.exit(main())
