"""The German catalogues: which folders have one, and collecting texts into them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent
ADMIN = Path(sys.executable).with_name("django-admin")
PLACE = Path("locale/de/LC_MESSAGES/django.po")
# Texts of templates/ at the top belong to the project; every room keeps its own.
ROOMS = (
    "cockpit",
    "inbound",
    "tickets",
    "outbound",
    "archive",
    "mailaccounts",
    "masterdata",
    "ui",
    "audit",
    "jobs",
)
IGNORED = ("tests/*", ".venv/*", "scripts/*", "var/*", "docs/*", *(f"{room}/*" for room in ROOMS))


def collect(root: Path) -> dict[str, polib.POFile]:
    """Run makemessages in every room below ``root`` and return the catalogues by room ("" is the project)."""
    found = {}
    for room in ("", *ROOMS):
        folder = root / room
        (folder / PLACE.parent).mkdir(parents=True, exist_ok=True)
        ignored = [f"--ignore={pattern}" for pattern in (IGNORED if not room else ())]
        command = [str(ADMIN), "makemessages", "-l", "de", "--no-location", "--no-wrap", "-v", "0", *ignored]
        subprocess.run(command, cwd=folder, check=True)
        if (folder / PLACE).is_file():
            found[room] = polib.pofile(str(folder / PLACE))
        else:
            remove_empty(folder / PLACE.parent)
    return found


def remove_empty(folder: Path) -> None:
    """Remove ``folder`` and its parents up to the room as far as they are empty."""
    for place in (folder, folder.parent, folder.parent.parent):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
