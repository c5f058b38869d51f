"""Settings and commands that nobody wrote down do not exist for an operator."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_setting_of_the_environment_is_documented():
    settings = (ROOT / "config/settings.py").read_text()
    names = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", settings))
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/configuration.md").read_text()))
    assert len(names) > 20
    assert names - documented == set()


def test_every_documented_setting_exists():
    settings = (ROOT / "config/settings.py").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    assert [name for name in rows if f'"{name}"' not in settings] == []


def test_every_command_is_documented():
    commands = {
        path.stem for path in ROOT.glob("*/management/commands/*.py") if not path.stem.startswith("_")
    }
    text = "".join(path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    assert {name for name in commands if f"manage.py {name}" not in text} == set()
