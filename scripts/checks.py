"""``make check`` beyond the linters: migrations, deployment settings, translations."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import polib
from catalogues import PLACE, ROOT, collect
from production import PRODUCTION


def main() -> int:
    """Run all; the number of failed checks is the exit status."""
    failures = [name for name, passes in CHECKS.items() if not passes()]
    for name in failures:
        print(f"FAILED: {name}", file=sys.stderr)
    print(f"{len(CHECKS) - len(failures)} of {len(CHECKS)} further checks passed")
    return len(failures)


def manage(*arguments: str) -> bool:
    """Whether the management command succeeds in a production environment."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **PRODUCTION}, check=False).returncode == 0


def translations_are_complete() -> bool:
    """Every text of code and templates has its German, and the compiled catalogues are current."""
    if shutil.which("xgettext") is None:
        print("gettext is missing. Install it with: sudo apt-get install gettext", file=sys.stderr)
        return False
    problems: list[str] = []
    german: dict[tuple[str | None, str], str] = {}
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        tracked = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        for file in tracked.splitlines():
            if (ROOT / file).is_file() and not file.startswith(("tests/", "docs/", "scripts/")):
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, copy / file)
        for room, catalogue in collect(copy).items():
            problems += [f"{room or 'project'}: {text}" for text in catalogue_problems(room, catalogue)]
            problems += clashes(room, catalogue, german)
    print("\n".join(problems) or "Translations are complete.")
    return not problems


def catalogue_problems(room: str, fresh: polib.POFile) -> list[str]:
    """What is missing in a catalogue collected just now, and whether the compiled one says the same."""
    found = [
        f"no German for {entry.msgid!r}" for entry in (*fresh.untranslated_entries(), *fresh.fuzzy_entries())
    ]
    compiled = (ROOT / room / PLACE).with_suffix(".mo")
    known = (
        {(e.msgctxt, e.msgid, e.msgstr) for e in polib.mofile(str(compiled))} if compiled.is_file() else set()
    )
    stale = [e.msgid for e in fresh.translated_entries() if (e.msgctxt, e.msgid, e.msgstr) not in known]
    return [*found, *(f"{compiled.name} is not current: {text!r}; run 'make messages'" for text in stale[:3])]


def clashes(room: str, fresh: polib.POFile, german: dict[tuple[str | None, str], str]) -> list[str]:
    """Texts that another room translates differently: Django merges catalogues, so one never shows."""
    found = []
    for entry in fresh.translated_entries():
        known = german.setdefault((entry.msgctxt, entry.msgid), entry.msgstr)
        if known != entry.msgstr:
            found.append(
                f"{room or 'project'}: {entry.msgid!r} is {known!r} elsewhere, {entry.msgstr!r} here"
            )
    return found


CHECKS = {
    "migrations are made": lambda: manage("makemigrations", "--check", "--dry-run"),
    "deployment settings": lambda: manage("check", "--deploy", "--fail-level", "WARNING"),
    "translations": translations_are_complete,
}

if __name__ == "__main__":
    sys.exit(main())
