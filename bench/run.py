"""Measure the import against mbsync on this machine: ``python -m bench.run [--count 5000] [--rounds 3]``.

Dovecot, PostgreSQL (durable, as it comes) and the contestants share the cores and the disk; the contestants
take turns. Prints the table of performance.md and, with ``--record FILE``, appends it there.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.contestants import Import, Mbsync, Source
from scripts import with_services
from tests.certificates import CertificateAuthority
from tests.servers import Dovecot

ROOT = Path(__file__).resolve().parent.parent
CORPUS_SCRIPT = Path(
    os.environ.get("BENCH_CORPUS_SCRIPT") or ROOT.parent / "shared" / "bench" / "make_mail.py"
)
HEADING = "| id | figure | reference | ratio | budget | ok |\n|---|---|---|---|---|---|"
MEGABYTE = 1_000_000


def main() -> int:
    """Measure, print, and fail where a budget is missed or a mail is wrong."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("--count", type=int, default=5_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--record", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="erp-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Dovecot(CertificateAuthority(folder).issue()) as server:
            source = fill(server, folder, given.count)
            with with_services.postgresql(folder / "pg", durable=True) as url:
                results = measure(source, folder, url, given.rounds)
    table, is_good = rows(results)
    text = f"{HEADING}\n{table}\n\n{spread(results)}"
    print(text)
    if given.record:
        with given.record.open("a", encoding="utf-8") as file:
            file.write(f"\n### {machine()}, {given.count} mails, {given.rounds} rounds\n\n{text}\n")
    return 0 if is_good else 1


def fill(server: Dovecot, folder: Path, count: int) -> Source:
    """A mailbox with the corpus of the design, known to Dovecot already."""
    if not CORPUS_SCRIPT.exists():
        sys.exit(f"The mail generator {CORPUS_SCRIPT} is missing: name it in BENCH_CORPUS_SCRIPT.")
    user, manifest = server.new_user(), folder / "manifest.jsonl"
    maildir = server.maildir(user)
    maildir.parent.mkdir(parents=True)
    subprocess.run(
        [
            sys.executable, CORPUS_SCRIPT, "--count", str(count), "--seed", "1", "--path", maildir,
            "--manifest", manifest,
        ],
        check=True,
    )  # fmt: skip
    if os.geteuid() == 0:
        for path in (maildir.parent, *maildir.parent.rglob("*")):
            shutil.chown(path, 65534, 65534)
    return Source(server, user, count, manifest)


def measure(source: Source, folder: Path, url: str, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Let the contestants take turns; a first copy, which warms Dovecot and the disk, does not count."""
    contestants = (
        Mbsync(source, folder / "mbsync"),
        Import("PostgreSQL", source, url.removesuffix("postgres") + "bench"),
        Import("SQLite", source, f"sqlite:///{folder}/bench.sqlite3"),
    )
    contestants[0].run()
    results: dict[str, list[dict[str, Any]]] = {one.name: [] for one in contestants}
    for number in range(1, rounds + 1):
        for one in contestants:
            result = one.run()
            results[one.name].append(result)
            print(f"round {number}: {one.name} {describe(result)}", flush=True)
    return results


def describe(result: dict[str, Any]) -> str:
    """One measurement in a line."""
    text = f"{result['rate']:.0f} mails/s, {result['wrong']} wrong {result.get('examples') or ''}"
    if "cpu" in result:
        text += f", {result['cpu'] / result['seconds']:.0%} own CPU, {result['peak'] / MEGABYTE:.0f} MB"
    return text + (f", load {os.getloadavg()[0]:.1f}")


def rows(results: dict[str, list[dict[str, Any]]]) -> tuple[str, bool]:
    """The table's rows, and whether all budgets are kept. Ratios are medians of the rounds' ratios."""
    reference = [one["rate"] for one in results["mbsync"]]
    lines = [
        _speed("P1", "PostgreSQL", results["PostgreSQL"], reference),
        _speed("P3", "SQLite", results["SQLite"], reference),
        _memory([*results["PostgreSQL"], *results["SQLite"]]),
    ]
    return "\n".join(line for line, _ in lines), all(is_good for _, is_good in lines)


def _speed(
    budget: str, name: str, results: Sequence[dict[str, Any]], reference: Sequence[float]
) -> tuple[str, bool]:
    rates = [one["rate"] for one in results]
    ratio = median(rate / other for rate, other in zip(rates, reference, strict=True))
    wrong = sum(one["wrong"] for one in results)
    is_good = ratio >= 0.40 and wrong == 0
    figure = f"{name} {median(rates):.0f} mails/s, {wrong} wrong"
    return _line(
        budget, figure, f"mbsync {median(reference):.0f} mails/s", f"{ratio:.2f}×", "≥ 0.40×", is_good
    )


def _memory(results: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    peak = max(one["peak"] for one in results) / MEGABYTE
    return _line("P4", f"{peak:.0f} MB", "–", "–", "≤ 150 MB", peak <= 150)


def _line(*cells: str | bool) -> tuple[str, bool]:
    *texts, is_good = cells
    return "| " + " | ".join([*map(str, texts), "yes" if is_good else "**no**"]) + " |", bool(is_good)


def spread(results: dict[str, list[dict[str, Any]]]) -> str:
    """Every contestant's slowest and fastest round: far apart, the machine was busy and proves little."""
    spans = {name: sorted(one["rate"] for one in rounds) for name, rounds in results.items()}
    texts = [f"{name} {rates[0]:.0f}–{rates[-1]:.0f}" for name, rates in spans.items()]
    return f"Slowest to fastest round, mails/s: {', '.join(texts)}."


def machine() -> str:
    """Date, cores and Python of this run."""
    return f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
