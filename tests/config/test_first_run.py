"""A fresh clone runs: what ``make run`` does behind its set-up, in a copy of the tracked files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path) -> Path:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in tracked.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def run(clone: Path, *command: str) -> str:
    environment = {"PATH": os.environ["PATH"], "DJANGO_SUPERUSER_PASSWORD": "ein-langes-passwort"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=clone,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_clone_gets_keys_database_and_first_user(clone):
    assert ".env" in run(clone, "scripts/make_env.py")
    assert (clone / ".env").stat().st_mode & 0o077 == 0
    run(clone, "manage.py", "migrate", "--no-input", "-v", "0")
    run(clone, "manage.py", "collectstatic", "--no-input", "-v", "0")
    run(
        clone,
        "manage.py",
        "createsuperuser",
        "--noinput",
        "--username",
        "chef",
        "--email",
        "chef@firma.example",
    )
    assert "no issues" in run(clone, "manage.py", "check")
    run(clone, "manage.py", "poll_once")
    run(clone, "manage.py", "deliver_once")


def test_keys_that_exist_are_never_written_over(clone):
    run(clone, "scripts/make_env.py")
    before = (clone / ".env").read_text()
    run(clone, "scripts/make_env.py")
    assert (clone / ".env").read_text() == before
