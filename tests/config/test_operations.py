"""docs/operations.md is what an operator types: its commands exist, and walking through it works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands, load_command_class

from mailaccounts import connections, credentials
from mailaccounts.models import ImapSettings, MailAccount

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/operations.md").read_text()
COMMANDS = sorted(set(re.findall(r"manage\.py ([a-z_]+[^`\n#)(…]*)", TEXT)))


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_takes_the_options_it_is_told(line):
    name, *arguments = shlex.split(line.rstrip(" ,;.'"))
    command = load_command_class(get_commands()[name], name)
    is_bare_name = name in {"backup", "restore_drill"} and not arguments
    command.create_parser("manage.py", name).parse_args(["FOLDER"] if is_bare_name else arguments)


def test_w4_rotating_keys_as_documented(db, settings, capsys):
    """Each step in order, the old key removed at the end: the password still opens."""
    steps = re.findall(r"^(\d)\. ", section("Rotating keys"), re.MULTILINE)
    commands = re.findall(r"`manage\.py ([a-z_]+)", section("Rotating keys"))
    assert (steps, commands) == (["1", "2", "3"], ["generate_key", "rotate_keys", "check"])
    old = credentials.new_key("old")
    settings.MAIL_KEYS = [old]
    account = MailAccount.objects.create(display_name="Info", email="info@firma.example")
    imap = ImapSettings(account=account, host="imap.firma.example", username="info")
    imap.password_encrypted = credentials.encrypt(
        "geheim", purpose=credentials.IMAP_PASSWORD, row_uuid=imap.uuid
    )
    imap.save()
    call_command("generate_key")
    new = next(word for word in capsys.readouterr().out.split() if ":" in word and word.endswith("="))
    settings.MAIL_KEYS = [new, old]
    assert connections.imap_access(MailAccount.objects.select_related("imap").get()) is not None
    call_command("rotate_keys")
    settings.MAIL_KEYS = [new]
    imap.refresh_from_db()
    opened = credentials.decrypt(
        imap.password_encrypted, purpose=credentials.IMAP_PASSWORD, row_uuid=imap.uuid
    )
    assert opened == "geheim"
    call_command("check", databases=["default"])
    assert "mailaccounts.W007" not in capsys.readouterr().err


def test_settings_that_the_text_names_exist():
    settings_text = (ROOT / "config/settings.py").read_text() + (ROOT / "gunicorn.conf.py").read_text()
    compose = (ROOT / "docker-compose.yml").read_text()
    foreign = {"SIGTERM", "DETAIL", "LAST", "CREATEDB", "STARTTLS", "QUIT"}
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})(?:=[^`]*)?`", TEXT)) - foreign
    assert {name for name in named if f'"{name}"' not in settings_text and name not in compose} == set()
