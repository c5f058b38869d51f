"""What is deployed is safe as it is configured by default (W17)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import django
import pytest
from django.conf import settings

from scripts.production import PRODUCTION

ROOT = Path(__file__).resolve().parents[2]
OLDEST = (5, 2, 17)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python process in the environment of a production."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **PRODUCTION, **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    return run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **environment)


def test_w17_the_deployment_checks_find_nothing_and_none_is_silenced():
    done = check()
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


@pytest.mark.parametrize(
    ("mistake", "name"),
    [
        ({"DEBUG": "true"}, "security.W018"),
        ({"HTTPS": "false"}, "security.W012"),
        ({"SECRET_KEY": "kurz"}, "mailaccounts.E001"),
        ({"ALLOWED_HOSTS": ""}, "security.W020"),
    ],
)
def test_w17_the_deployment_checks_would_find_something(mistake, name):
    done = check(**mistake)
    assert done.returncode == 1
    assert name in done.stderr


def test_w17_debug_is_off_unless_somebody_asks_for_it():
    assert run("-c", "from config import settings; print(settings.DEBUG)").stdout == "False\n"
    assert settings.DEBUG is False


def test_w17_django_has_its_security_fixes():
    assert OLDEST <= django.VERSION[:3] < (5, 3)
    for name in ("requirements.lock", "requirements-dev.lock"):
        locked = re.search(r"^django==([\d.]+)", (ROOT / name).read_text(), re.MULTILINE)
        assert tuple(int(part) for part in locked[1].split(".")) >= OLDEST
    assert '"Django>=5.2.17,<5.3"' in (ROOT / "pyproject.toml").read_text()
