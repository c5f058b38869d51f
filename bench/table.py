"""The table of performance.md: one row a budget, and what machine it was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

HEADING = "| id | figure | reference | ratio | budget | ok |\n|---|---|---|---|---|---|"
# More runnable processes than this on average before the run: others took part in it.
BUSY_LOAD = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """One budget: what was measured, against what, and whether it is kept."""

    id: str
    figure: str
    reference: str
    ratio: str
    budget: str
    is_kept: bool

    def __str__(self) -> str:
        cells = (self.id, self.figure, self.reference, self.ratio, self.budget)
        return f"| {' | '.join(cells)} | {'yes' if self.is_kept else '**no**'} |"


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of one benchmark, and what a reader has to know to believe them."""

    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)


def render(results: Sequence[Result]) -> str:
    """All rows in one table, the notes below it."""
    rows = "\n".join(str(row) for result in results for row in result.rows)
    notes = "\n".join(f"* {note}" for result in results for note in result.notes)
    return f"{HEADING}\n{rows}\n\n{notes}"


def machine() -> str:
    """Date, cores and Python of this run."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, Python {platform.python_version()}"


def load_note(before: float) -> str:
    """What the machine's load says about this run; ``before``: its one-minute average when the run began."""
    words = "others used the machine: ratios prove little" if before > BUSY_LOAD else "a quiet machine"
    return f"Load before the run {before:.1f}, after it {os.getloadavg()[0]:.1f}: {words}."
