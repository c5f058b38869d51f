"""P1 to P4: the import against mbsync over the same mailbox, and the memory that it takes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.contestants import Contestant, Import, Mbsync
from bench.corpus import fill
from bench.table import Result, Row
from tests.certificates import CertificateAuthority
from tests.servers import Dovecot

MEGABYTE = 1_000_000
LARGEST_PEAK = 150 * MEGABYTE

Turns = Mapping[str, Sequence[dict[str, Any]]]


def measure(folder: Path, base: str, *, count: int, rounds: int) -> Result:
    """Let mbsync and our imports take turns over ``count`` mails each; a first copy, which warms Dovecot and
    the disk, does not count.
    """
    with Dovecot(CertificateAuthority(folder).issue()) as server:
        one = fill(server, folder, count)
        two = [fill(server, folder, count // 2, seed) for seed in (2, 3)]
        contestants: Sequence[Contestant] = (
            Mbsync(one, folder / "mbsync"),
            Import("PostgreSQL", [one], f"{base}bench"),
            Import("two processes", two, f"{base}bench_two"),
            Import("SQLite", [one], f"sqlite:///{folder}/bench.sqlite3"),
        )
        contestants[0].run()
        turns: dict[str, list[dict[str, Any]]] = {contestant.name: [] for contestant in contestants}
        for number in range(1, rounds + 1):
            for contestant in contestants:
                turn = contestant.run()
                turns[contestant.name].append(turn)
                print(f"round {number}: {contestant.name} {_describe(turn)}", flush=True)
    return Result(
        [
            _speed("P1", "PostgreSQL", turns, at_least=0.40),
            _speed("P2", "two processes", turns, at_least=0.60),
            _speed("P3", "SQLite", turns, at_least=0.40),
            _memory(max(turn["peak"] for some in turns.values() for turn in some if "peak" in turn), count),
        ],
        [_spread(turns)],
    )


def measure_memory(folder: Path, base: str, *, count: int) -> Result:
    """Import one large mailbox into PostgreSQL; only its memory counts, and that all was imported."""
    with Dovecot(CertificateAuthority(folder).issue()) as server:
        source = fill(server, folder, count)
        turn = Import("large mailbox", [source], f"{base}bench_large").import_only()
    print(f"large mailbox: {turn['imported']} in {turn['seconds']:.0f} s", flush=True)
    return Result([_memory(turn["peak"], count, wrong=count - turn["imported"])])


def _describe(turn: Mapping[str, Any]) -> str:
    text = f"{turn['rate']:.0f} mails/s, {turn['wrong']} wrong {turn.get('examples') or ''}"
    if "cpu" in turn:
        text += f", {turn['cpu'] / turn['seconds']:.0%} own CPU, {turn['peak'] / MEGABYTE:.0f} MB"
    return text + f", load {os.getloadavg()[0]:.1f}"


def _speed(budget: str, name: str, turns: Turns, *, at_least: float) -> Row:
    """Ratios are medians of the rounds' ratios, so that a slow moment of the machine counts for both."""
    rates = [turn["rate"] for turn in turns[name]]
    reference = [turn["rate"] for turn in turns["mbsync"]]
    ratio = median(rate / other for rate, other in zip(rates, reference, strict=True))
    wrong = sum(turn["wrong"] for turn in turns[name])
    return Row(
        budget,
        f"{name} {median(rates):.0f} mails/s, {wrong} wrong",
        f"mbsync {median(reference):.0f} mails/s",
        f"{ratio:.2f}×",
        f"≥ {at_least:.2f}×",
        ratio >= at_least and wrong == 0,
    )


def _memory(peak: int, count: int, wrong: int = 0) -> Row:
    figure = f"{peak / MEGABYTE:.0f} MB with {count:,} mails" + (f", {wrong} missing" if wrong else "")
    return Row("P4", figure, "–", "–", "≤ 150 MB", peak <= LARGEST_PEAK and wrong == 0)


def _spread(turns: Turns) -> str:
    """Every contestant's slowest and fastest round: far apart, the machine was busy and proves little."""
    spans = {name: sorted(turn["rate"] for turn in some) for name, some in turns.items()}
    texts = [f"{name} {rates[0]:.0f}–{rates[-1]:.0f}" for name, rates in spans.items()]
    return f"Slowest to fastest round, mails/s: {', '.join(texts)}."
