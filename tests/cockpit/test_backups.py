"""Backups, and the drill that restores one beside the database in use (R41)."""

from __future__ import annotations

import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.utils import timezone

from archive import services as archive
from archive.models import RawMail
from audit import chain
from audit import services as audit
from cockpit import backups, restore_drill
from cockpit.backups import BackupFailed
from inbound.models import IncomingMessage, Mailbox
from jobs import heartbeats, instance
from mailaccounts import credentials
from mailaccounts.models import ImapSettings, MailAccount
from outbound.models import OutgoingMessage

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("original"),
    pytest.mark.servers,
]
PASSWORD = "Kanari-Geheimnis-4711"


@pytest.fixture
def account() -> MailAccount:
    account = MailAccount.objects.create(display_name="Info", email="info@firma.example")
    imap = ImapSettings(account=account, host="imap.firma.example", username="info")
    imap.password_encrypted = credentials.encrypt(
        PASSWORD, purpose=credentials.IMAP_PASSWORD, row_uuid=imap.uuid
    )
    imap.save()
    return account


@pytest.fixture
def mails(account) -> list[RawMail]:
    return list(archive.store_raw([b"Subject: eins\r\n\r\n\0\xff", b"Subject: zwei\r\n\r\n"]).values())


@pytest.fixture
def waiting(account, mails) -> OutgoingMessage:
    """A mail that waited when the backup was made, and has left since."""
    now = timezone.now()
    return OutgoingMessage.objects.create(
        account=account, purpose=OutgoingMessage.Purpose.TICKET, from_address=account.email, raw=mails[0],
        message_id="<1@firma.example>", next_attempt_at=now, give_up_at=now + timedelta(days=4),
    )  # fmt: skip


@pytest.fixture
def backup(tmp_path, waiting) -> Path:
    """The newest backup of that database."""
    audit.record(action="tests.done")
    _backup, file = backups.make(tmp_path / "backups")
    return file


@pytest.fixture
def run(capsys):
    """Run a command; return its output."""

    def call(*arguments) -> str:
        call_command(*map(str, arguments))
        return capsys.readouterr().out.strip()

    return call


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def scratch_databases() -> list[str]:
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'restore_drill_%'")
        return [name for (name,) in cursor.fetchall()]


# --- backup --------------------------------------------------------------------------------------------


def test_t20_a_backup_is_for_its_owner_only_and_holds_no_key(run, tmp_path, backup, settings):
    folder = tmp_path / "new"
    before = os.umask(0)
    try:
        told = run("backup", folder)
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert [mode(file) for file in folder.iterdir()] == [0o600, 0o600]
    assert "2 mails" in told
    assert told.endswith("kept elsewhere: test")
    everything = b"".join(file.read_bytes() for file in folder.iterdir())
    for secret in (settings.MAIL_KEYS[0].partition(":")[2], settings.SECRET_KEY, PASSWORD):
        assert secret.encode() not in everything


def test_the_manifest_counts_every_table_at_the_moment_of_the_backup(backup):
    manifest = backups.read(backup)
    RawMail.objects.exclude(outgoing__isnull=False).delete()
    assert manifest.rows["archive_rawmail"] == 2
    assert set(backups.tables()) == set(manifest.rows)
    assert manifest.keys == ["test"]
    assert heartbeats.age("backup") < timedelta(minutes=1)


def test_a_backup_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "_dump_postgresql", _fail)
    monkeypatch.setattr(backups, "_copy_sqlite", _fail)
    with pytest.raises(BackupFailed):
        backups.make(tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []
    assert heartbeats.age("backup") is None


def _fail(target: Path) -> None:
    target.write_bytes(b"half of it")
    raise BackupFailed("pg_dump failed")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is copied by no program")
def test_t9_a_restore_that_fails_quotes_no_mail(tmp_path):
    file, where = tmp_path / "notes.dump", connection.settings_dict
    into = f"--dbname={where['NAME']}"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE notes (note text)")
        cursor.execute("INSERT INTO notes VALUES ('Kanari-Inhalt')")
        try:
            backups.run_postgresql(
                "pg_dump", "--format=custom", "--table=notes", f"--file={file}", into, database=where
            )
            cursor.execute("TRUNCATE notes")
            cursor.execute("ALTER TABLE notes ADD CHECK (note = '')")
            with pytest.raises(BackupFailed, match='COPY failed for table "notes"') as failed:
                backups.run_postgresql("pg_restore", "--data-only", into, str(file), database=where)
        finally:
            cursor.execute("DROP TABLE notes")
    assert "Kanari" not in str(failed.value)


def test_older_backups_of_this_installation_are_removed_when_asked(tmp_path, run):
    folder = tmp_path / "backups"
    folder.mkdir()
    installations = ("tests", "other", "tests-2")
    names = [f"{name}-202611{day:02}T000000Z.dump" for name in installations for day in (1, 2, 3)]
    for name in (*names, *(f"{name}.json" for name in names)):
        (folder / name).touch()
    assert "2 older ones removed" in run("backup", folder, "--keep", "2")
    left = sorted(file.name for file in folder.glob("*.json"))
    assert {f"{name}.json" for name in names[2:]} < set(left)
    assert len(left) == len(names) - 2 + 1
    with pytest.raises(CommandError):
        run("backup", folder, "--keep", "0")


def test_no_folder_no_backup_is_said_plainly(tmp_path, run):
    with pytest.raises(CommandError, match="There is no backup in"):
        run("restore_drill", tmp_path)
    with pytest.raises(CommandError, match="cannot be read"):
        run("restore_drill", tmp_path / "erp.dump")


# --- drill ---------------------------------------------------------------------------------------------


def test_r41_a_good_backup_is_restored_checked_and_dropped(run, backup, account, waiting):
    chain.seal()
    [later] = archive.store_raw([b"Subject: danach\r\n\r\n"]).values()
    mailbox = Mailbox.objects.create(account=account, name="INBOX", uid_validity=1)
    IncomingMessage.objects.create(
        account=account, mailbox=mailbox, uid_validity=1, uid=1, internal_date=timezone.now(), size=1,
        raw=later, state="imported", server_copy="deleted",
    )  # fmt: skip
    OutgoingMessage.objects.update(state="sent", finished_at=timezone.now())
    told = run("restore_drill", backup.parent)
    assert told.startswith("restored 2 mails, missing 0, wrong hashes 0, credentials ok (1), 0.")
    assert told.endswith("loss since backup: 1 mails (1 no longer on their servers), 1 sends, 0.0 h")
    waiting.refresh_from_db()
    assert (waiting.state, RawMail.objects.count()) == ("sent", 3)  # the database in use is as it was
    assert instance.is_original()
    assert scratch_databases() == []
    assert heartbeats.age("restore_drill") < timedelta(minutes=1)


def test_r41_the_restored_copy_stays_quiet_and_its_waiting_mail_is_uncertain(backup, monkeypatch):
    seen = []

    def look(*_arguments) -> None:
        seen.append((instance.is_original(), OutgoingMessage.objects.get().state, instance.restored_at()))

    monkeypatch.setattr(restore_drill, "_check_audit", look)
    assert restore_drill.drill(backup).problems == []
    [(is_original, state, restored_at)] = seen
    assert (is_original, state) == (False, "uncertain")
    assert restored_at is not None
    assert instance.restored_at() is None


def test_r41_a_copy_that_would_work_at_once_is_a_finding(backup, monkeypatch):
    monkeypatch.setattr(instance, "is_original", lambda: True)
    assert "the restored copy would poll and send at once" in restore_drill.drill(backup).problems


def damage(sql: str, *parameters) -> None:
    """Change the database so that its next backup is bad in one way."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def test_a_mail_whose_bytes_rotted_is_found(tmp_path, mails, run, capsys):
    damage("UPDATE archive_rawmail SET content = %s WHERE id = %s", b"anders", mails[0].pk)
    backups.make(tmp_path)
    with pytest.raises(CommandError, match="is not good: 1 problems"):
        run("restore_drill", tmp_path)
    output = capsys.readouterr()
    assert "restored 2 mails, missing 0, wrong hashes 1" in output.out
    assert heartbeats.age("restore_drill") is None
    assert scratch_databases() == []


def test_rows_that_are_missing_are_found(backup, run, capsys):
    manifest = backups.manifest_of(backup)
    wanted = json.loads(manifest.read_text())
    wanted["rows"]["archive_rawmail"] += 1
    manifest.write_text(json.dumps(wanted))
    with pytest.raises(CommandError):
        run("restore_drill", backup)
    output = capsys.readouterr()
    assert "missing 1" in output.out
    assert "archive_rawmail: 2 rows instead of 3" in output.err


def test_passwords_that_the_keys_at_hand_do_not_open_are_found(backup, run, settings, capsys):
    settings.MAIL_KEYS = [credentials.new_key("k2")]
    with pytest.raises(CommandError):
        run("restore_drill", backup)
    output = capsys.readouterr()
    assert "credentials 1 unreadable" in output.out
    assert "key test is not in MAIL_KEYS" in output.err


def test_w12_a_changed_audit_record_is_found(tmp_path, run, capsys, monkeypatch):
    def broken(*_arguments) -> None:
        raise chain.ChainBroken("entry 7 was changed")

    backups.make(tmp_path)
    monkeypatch.setattr(chain, "verify", broken)
    with pytest.raises(CommandError):
        run("restore_drill", tmp_path)
    assert "audit chain: entry 7 was changed" in capsys.readouterr().err


def test_a_damaged_file_is_not_even_restored(backup, run):
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    with pytest.raises(CommandError, match="is damaged"):
        run("restore_drill", backup)


def test_a_backup_that_cannot_be_restored_leaves_no_scratch_database(backup, run):
    backup.write_bytes(b"no backup at all")
    manifest = json.loads(backups.manifest_of(backup).read_text())
    manifest["sha256"] = backups.digest(backup)
    backups.manifest_of(backup).write_text(json.dumps(manifest))
    with pytest.raises((CommandError, DatabaseError)):
        run("restore_drill", backup)
    assert scratch_databases() == []
    assert instance.is_original()


def test_an_older_backup_is_migrated_as_a_restore_would(backup, run):
    damage("DELETE FROM django_migrations WHERE app = 'sessions'")
    damage("DROP TABLE django_session")
    backups.make(backup.parent)
    try:
        assert ", migrated; " in run("restore_drill", backup.parent)
    finally:
        call_command("migrate", verbosity=0)
