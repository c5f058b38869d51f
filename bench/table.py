"""What is measured, in Markdown: the table of performance.md, one row a budget, and other tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of one benchmark, and what a reader has to know to believe them."""

    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)


class Table:
    """A table in Markdown."""

    def __init__(self, *titles: str) -> None:
        self._lines = [self._line(titles), "|---" * len(titles) + "|"]

    def add(self, *cells: object) -> None:
        """Append a row; True is "yes", False stands out."""
        self._lines.append(self._line(cells))

    def __str__(self) -> str:
        return "\n".join(self._lines)

    @staticmethod
    def _line(cells: Sequence[object]) -> str:
        words = {True: "yes", False: "**no**"}
        texts = (words[cell] if isinstance(cell, bool) else str(cell) for cell in cells)
        return f"| {' | '.join(texts)} |"


def render(results: Sequence[Result]) -> str:
    """All rows in one table, the notes below it."""
    table = Table("id", "figure", "reference", "ratio", "budget", "ok")
    for row in (row for result in results for row in result.rows):
        table.add(row.id, row.figure, row.reference, row.ratio, row.budget, row.is_kept)
    notes = "\n".join(f"* {note}" for result in results for note in result.notes)
    return f"{table}\n\n{notes}"


def machine() -> str:
    """Date, cores and Python of this run."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, Python {platform.python_version()}"


def load_note(before: float) -> str:
    """What the machine's load says about this run; ``before``: its one-minute average when the run began."""
    words = "others used the machine: ratios prove little" if before > BUSY_LOAD else "a quiet machine"
    return f"Load before the run {before:.1f}, after it {os.getloadavg()[0]:.1f}: {words}."


def write_between_markers(path: Path, name: str, text: str) -> None:
    """Replace what stands in a document between ``<!-- name: begin -->`` and ``<!-- name: end -->``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
