"""A fresh clone runs: what ``make run`` does behind its set-up, in a copy of the tracked files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in tracked.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def installation(clone) -> Path:
    """What ``make run`` does before it serves."""
    assert ".env" in run(clone, "scripts/make_env.py")
    run(clone, "manage.py", "migrate", "--no-input", "-v", "0")
    run(clone, "manage.py", "collectstatic", "--no-input", "-v", "0")
    return clone


def run(clone: Path, *command: str) -> str:
    environment = {"PATH": os.environ["PATH"], "DJANGO_SUPERUSER_PASSWORD": "ein-langes-passwort"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=clone,
        env=environment,
        umask=0,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_clone_gets_keys_database_and_first_user(installation):
    user = ["--username", "chef", "--email", "chef@firma.example"]
    run(installation, "manage.py", "createsuperuser", "--noinput", *user)
    assert "no issues" in run(installation, "manage.py", "check")
    run(installation, "manage.py", "poll_once")
    run(installation, "manage.py", "deliver_once")


def test_t20_what_is_written_is_for_the_own_user_whatever_the_umask(installation):
    written = [installation / ".env", installation / "var", *(installation / "var").rglob("*")]
    assert installation / "var/erp.sqlite3" in written
    assert [path for path in written if path.stat().st_mode & 0o077] == []


def test_keys_that_exist_are_never_written_over(installation):
    before = (installation / ".env").read_text()
    run(installation, "scripts/make_env.py")
    assert (installation / ".env").read_text() == before
