"""Damage mail and read it, in parallel: ``python -m fuzz.run [--runs 20000] [--seed 1] [--processes 2]``.

Prints every failing mail with its seed and number and writes it to test-output/; then the slowest mail, the
memory, and how many were refused with a reason. The exit status tells whether all of them held.
``--only N`` reads mail N of the seed alone and lets its error through.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()  # the pages' own rendering is examined too; models cannot be imported before

from bench.processes import peak_memory  # noqa: E402
from fuzz.checks import examine  # noqa: E402
from fuzz.mutations import corpus, mutated  # noqa: E402

OUTPUT: Final = Path(__file__).resolve().parent.parent / "test-output"
MAX_SECONDS: Final = 30
MAX_GROWTH: Final = 256 * 1024 * 1024
"""Bytes of resident memory at the peak, above what a process holds that has read the whole corpus once."""
_MAX_FINDINGS: Final = 20  # of one process; more of them say nothing new
_MAX_WORDS: Final = 3_000  # the end of a traceback

_context = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Finding:
    """A mail that did not hold, by its number, and why."""

    number: int
    words: str


@dataclass(slots=True)
class Tally:
    """What came of a number of mails. ``slowest``: seconds and number; ``growth``: bytes."""

    done: int = 0
    slowest: tuple[float, int] = (0.0, -1)
    growth: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in what another process did."""
        self.done += other.done
        self.slowest = max(self.slowest, other.slowest)
        self.growth = max(self.growth, other.growth)
        self.refused += other.refused
        self.findings += other.findings


def main() -> int:
    """Run as the command line says; 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", type=int)
    chosen = parser.parse_args()
    if chosen.only is not None:
        _say(examine(mutated(corpus(), seed=chosen.seed, number=chosen.only)) or "read")
        return 0
    started = time.monotonic()
    tally = run(seed=chosen.seed, runs=chosen.runs, processes=chosen.processes)
    report(tally, seed=chosen.seed, seconds=time.monotonic() - started)
    return 0 if tally.done == chosen.runs and not tally.findings else 1


def run(*, seed: int, runs: int, processes: int) -> Tally:
    """Read mails 0 to ``runs`` - 1 of ``seed``, shared out among ``processes``."""
    shares = [_Share(seed, range(first, runs, processes)) for first in range(processes)]
    for share in shares:
        share.start()
    total = Tally()
    for share in shares:
        total.add(share.finish())
    return total


def report(tally: Tally, *, seed: int, seconds: float) -> None:
    """Print what came of it, and keep the failing mails."""
    for finding in sorted(tally.findings, key=lambda one: one.number):
        path = keep(seed=seed, number=finding.number)
        _say(f"--- seed {seed}, mail {finding.number}: {path}\n{finding.words}")
    slowest, number = tally.slowest
    refused = ", ".join(f"{code} {count}" for code, count in sorted(tally.refused.items())) or "none"
    _say(
        f"fuzz: seed {seed}, {tally.done} mails in {seconds:.0f} s; {len(tally.findings)} failed; "
        f"slowest {slowest:.2f} s (mail {number}); memory +{tally.growth / 1024**2:.0f} MB; "
        f"refused: {refused}"
    )


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def keep(*, seed: int, number: int) -> Path:
    """Write a mail to test-output/ and return where."""
    OUTPUT.mkdir(exist_ok=True)
    path = OUTPUT / f"fuzz-{seed}-{number}.eml"
    path.write_bytes(mutated(corpus(), seed=seed, number=number))
    return path


class _Share:
    """The mails of one process, which is replaced when a mail kills it or takes too long."""

    def __init__(self, seed: int, numbers: range) -> None:
        self._seed, self._left, self._tally = seed, numbers, Tally()

    def start(self) -> None:
        self._position: Any = _context.Value("q", -1)
        self._receiving, sending = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_work, args=(self._seed, self._left, self._position, sending))
        self._process.start()
        sending.close()

    def finish(self) -> Tally:
        """Wait for the mails to be read."""
        while not self._is_collected():
            self.start()
        return self._tally

    def _is_collected(self) -> bool:
        """Take in what the process reports; False if it died over a mail and others are left."""
        try:
            while not isinstance(message := self._receiving.recv(), Tally):
                self._tally.findings.append(message)
        except EOFError:
            self._process.join()
            self._note_death(self._process.exitcode or 0)
            return not self._left or len(self._tally.findings) >= _MAX_FINDINGS
        self._tally.add(message)
        self._process.join()
        return True

    def _note_death(self, code: int) -> None:
        position: int = self._position.value
        if position < 0:
            raise RuntimeError("a process ended before its first mail")
        late = code == -signal.SIGALRM
        words = f"took more than {MAX_SECONDS} s" if late else f"killed the process (exit status {code})"
        self._tally.findings.append(Finding(self._left[position], words))
        self._tally.done += position + 1
        self._left = self._left[position + 1 :]


def _work(seed: int, numbers: range, position: Any, sending: Connection) -> None:
    """Read the mails one by one; findings are reported at once, the tally at the end.

    Nobody catches SIGALRM, so that it ends even a loop inside a C library.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    originals, tally, found = corpus(), Tally(), 0
    for raw in originals:
        examine(raw)
    baseline = peak_memory()
    for index, number in enumerate(numbers):
        position.value = index
        words = _timed(mutated(originals, seed=seed, number=number), number, tally)
        tally.done += 1
        tally.growth = peak_memory() - baseline
        if tally.growth > MAX_GROWTH:
            words = words or f"took {tally.growth / 1024**2:.0f} MB"
            baseline = peak_memory()
        if words:
            sending.send(Finding(number, words))
            found += 1
        if found >= _MAX_FINDINGS:
            break
    sending.send(tally)


def _timed(raw: bytes, number: int, tally: Tally) -> str:
    """Read a mail within its time; what is wrong with it, or ""."""
    words = ""
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    started = time.perf_counter()
    try:
        code = examine(raw)
    except Exception:  # noqa: BLE001  # that nothing is raised is what is being tested
        words = traceback.format_exc()[-_MAX_WORDS:]
    else:
        tally.refused[code] += bool(code)
    tally.slowest = max(tally.slowest, (time.perf_counter() - started, number))
    signal.setitimer(signal.ITIMER_REAL, 0)
    return words


if __name__ == "__main__":
    sys.exit(main())
