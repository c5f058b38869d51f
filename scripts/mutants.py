"""``make mutants``: take away one guard after another, each in a copy of the tree, and see a test go red.

``scripts/guards.toml`` lists the guards: name, file, the exact text (``source``, found once), what stands
there when the guard is gone (``without``), and the narrowest tests that must notice. A test that breaks
because the mutant does not even run (NameError and its kin) proves nothing and does not count.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TREES = 2
CHECK_SECONDS = 1_200
MUTANT_SECONDS = 240
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::\w+)(?:\[.*?\])?(?: - (\w+))?", re.MULTILINE)
_BROKEN = {"NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError"}


@dataclass(frozen=True, slots=True)
class Guard:
    """One entry of the list; ``database`` is ``postgresql`` where SQLite cannot show the difference."""

    name: str
    file: str
    source: str
    without: str
    tests: list[str]
    database: str = "sqlite"

    def mutated(self, text: str) -> str:
        """The file's text without the guard. Raises ValueError where it does not stand there exactly once."""
        if text.count(self.source) != 1:
            raise ValueError(f"{self.name}: its text stands {text.count(self.source)} times in {self.file}")
        return text.replace(self.source, self.without)


def read_guards(part: str = "") -> list[Guard]:
    """The list, or what of it has ``part`` in its name."""
    entries = tomllib.loads((ROOT / "scripts/guards.toml").read_text(encoding="utf-8"))["guard"]
    return [Guard(**entry) for entry in entries if part in entry["name"]]


class Tree:
    """A copy of the checkout in which one guard at a time is missing."""

    def __init__(self, folder: Path) -> None:
        self.root, self.temporary = folder / "tree", folder / "tmp"
        self.temporary.mkdir(parents=True)
        for name in _files():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.root / name)
        (self.root / ".venv").symlink_to(ROOT / ".venv")
        # By content: two versions of one length within a second look alike to the usual time stamps.
        compile_all = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "."]
        subprocess.run(compile_all, cwd=self.root, check=True)

    def check(self, tests: Sequence[str], database: str) -> str:
        """Run tests with every guard in place, which leaves a database to copy; return what failed."""
        return self._pytest(tests, database, self.temporary, CHECK_SECONDS)

    def killer(self, guard: Guard) -> str:
        """Name of the test that notices the missing guard, "" when it survives."""
        file = self.root / guard.file
        original = file.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory(dir=self.root.parent) as name:
            if "/migrations/" not in guard.file:
                for database in self.temporary.glob("erp-mail-tests-*"):
                    shutil.copytree(database, Path(name) / database.name)
            file.write_text(guard.mutated(original), encoding="utf-8")
            try:
                output = self._pytest(guard.tests, guard.database, Path(name), MUTANT_SECONDS)
                return _killer(output)
            finally:
                file.write_text(original, encoding="utf-8")

    def _pytest(self, tests: Sequence[str], database: str, temporary: Path, seconds: int) -> str:
        """Output of a run that failed, else ""."""
        environment = {**os.environ, "COLUMNS": "400"}
        services = []
        if database == "postgresql":
            services = [sys.executable, "scripts/with_services.py"]
        else:
            environment["TMPDIR"] = str(temporary)  # the SQLite database lies there
        # The plugin of hypothesis costs a second of each start and is not needed to run its tests.
        options = ["-x", "-n", "0", "--tb=no", "-rfE", "-p", "no:hypothesispytest"]
        try:
            done = subprocess.run(
                [*services, sys.executable, "-m", "pytest", *options, *tests],
                cwd=self.root, env=environment, capture_output=True, text=True, check=False,
                timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"no result within {seconds} s"
        return done.stdout + done.stderr if done.returncode else ""


def _files() -> list[str]:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in names.split("\0") if name and (ROOT / name).is_file()]


def _killer(output: str) -> str:
    failed = _FAILED.search(output)
    if failed and failed[2] not in _BROKEN:
        return failed[1].rpartition("::")[2]
    if output:
        print(output[-2000:], file=sys.stderr)
    return ""


def check_all(trees: Sequence[Tree], guards: Sequence[Guard]) -> list[str]:
    """Outputs of the tests that fail though no guard is missing."""
    failures: list[str] = []
    for database in sorted({guard.database for guard in guards}):
        tests = sorted({test for guard in guards if guard.database == database for test in guard.tests})
        parts = [tests[number :: len(trees)] for number in range(min(len(trees), len(tests)))]
        with ThreadPoolExecutor(len(trees)) as pool:
            runs = [pool.submit(tree.check, part, database) for tree, part in zip(trees, parts, strict=False)]
            failures += [output for run in runs if (output := run.result())]
    return failures


def kill_all(trees: Sequence[Tree], guards: Sequence[Guard]) -> int:
    """Remove guard after guard, in as many trees at once; return how many were noticed."""
    free: queue.SimpleQueue[Tree] = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def remove(guard: Guard) -> bool:
        tree = free.get()
        try:
            killer = tree.killer(guard)
        finally:
            free.put(tree)
        print(f"guard {guard.name} {f'killed by {killer}' if killer else 'SURVIVED'}", flush=True)
        return bool(killer)

    with ThreadPoolExecutor(len(trees)) as pool:
        return sum(pool.map(remove, guards))


def main(part: str = "") -> int:
    """Remove the guards whose names hold ``part``; 0 when every one was missed."""
    started = time.monotonic()
    guards = read_guards(part)
    with tempfile.TemporaryDirectory(prefix="erp-mutants-") as name:
        trees = [Tree(Path(name) / str(number)) for number in range(TREES)]
        failures = check_all(trees, guards)
        if failures:
            print("The tests fail with every guard in place:", *failures, sep="\n")
            return 1
        killed = kill_all(trees, guards)
    print(f"{time.monotonic() - started:.0f} s")
    print(f"mutants {len(guards)} killed {killed} survived {len(guards) - killed}")
    return 0 if killed == len(guards) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
