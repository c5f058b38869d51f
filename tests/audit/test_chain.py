"""Whoever tampers with the audit record leaves a broken chain (W12)."""

from __future__ import annotations

import logging
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from audit import chain, services, tasks
from audit.models import AuditEntry, AuditSeal


@pytest.fixture
def entries(db) -> list[AuditEntry]:
    """Five sealed entries."""
    made = [services.record(action=f"test.{n}", changes={"name": [n, "ü"]}) for n in range(5)]
    tasks.seal()
    return made


@pytest.fixture
def tamper(db):
    """SQL by somebody who owns the database: the triggers go first."""
    with connection.cursor() as cursor:
        for trigger, table in (
            ("audit_entry_stays", "audit_auditentry"),
            ("audit_seal_stays", "audit_auditseal"),
        ):
            where = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER {trigger}{where}")
        yield cursor.execute


def verify(*heads: str) -> str:
    return call_command("verify_audit", *heads)


def test_w12_an_untouched_record_verifies(entries, capsys):
    call_command("verify_audit", str(chain.head()))
    assert capsys.readouterr().out.splitlines()[-1] == "checked 5 unsealed 0 chain ok"


def test_w12_an_empty_record_verifies(db, capsys):
    call_command("verify_audit")
    assert capsys.readouterr().out == "checked 0 unsealed 0 chain ok\n"


def test_w12_what_is_not_sealed_yet_is_counted(entries, capsys):
    services.record(action="test.later")
    call_command("verify_audit")
    assert capsys.readouterr().out == "checked 5 unsealed 1 chain ok\n"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2026-01-01 00:00:00+00:00"),
        ("actor_label", "somebody else"),
        ("ip", "192.0.2.9"),
        ("action", "test.forged"),
        ("object_type", "masterdata.project"),
        ("object_id", "7"),
        ("object_label", "forged"),
        ("changes", '{"name": [2, "u"]}'),
        ("reason", "forged"),
    ],
)
def test_w12_a_changed_field_is_found(entries, tamper, column, value):
    tamper(f"UPDATE audit_auditentry SET {column} = %s WHERE id = %s", [value, entries[2].pk])
    with pytest.raises(CommandError, match=f"^entry {entries[2].pk} does not match its seal"):
        verify()


@pytest.mark.parametrize("position", [0, 2, 4])
def test_w12_a_removed_entry_is_found(entries, tamper, position):
    tamper("DELETE FROM audit_auditentry WHERE id = %s", [entries[position].pk])
    with pytest.raises(CommandError, match=f"^entry {entries[position].pk} was removed"):
        verify()


def test_w12_an_entry_removed_with_its_seal_is_found(entries, tamper):
    tamper("DELETE FROM audit_auditentry WHERE id = %s", [entries[2].pk])
    tamper("DELETE FROM audit_auditseal WHERE entry_id = %s", [entries[2].pk])
    with pytest.raises(CommandError, match=f"^entry {entries[3].pk} does not match its seal"):
        verify()


def test_w12_an_inserted_entry_is_found(entries, tamper):
    tamper("UPDATE audit_auditentry SET id = id + 10 WHERE id >= %s", [entries[3].pk])
    tamper("UPDATE audit_auditseal SET entry_id = entry_id + 10 WHERE entry_id >= %s", [entries[3].pk])
    between = AuditEntry(pk=entries[3].pk, action="test.inserted", actor_label="system")
    between.save()
    with pytest.raises(CommandError, match=f"^entry {between.pk} has no seal"):
        verify()


def test_w12_a_swapped_pair_is_found(entries, tamper):
    first, second = entries[1].pk, entries[2].pk
    for old, new in ((first, -1), (second, first), (-1, second)):
        tamper("UPDATE audit_auditentry SET id = %s WHERE id = %s", [new, old])
    with pytest.raises(CommandError, match=f"^entry {first} does not match its seal"):
        verify()


def test_w12_a_chain_cut_off_at_its_end_misses_the_head_in_the_log(entries, tamper, caplog):
    with caplog.at_level(logging.INFO, "audit.chain"):
        tasks.log_head()
    noted = caplog.messages[-1].rsplit(" ", 1)[-1]
    assert noted == f"{entries[4].pk}:{AuditSeal.objects.get(pk=entries[4].pk).digest}"
    tamper("DELETE FROM audit_auditentry WHERE id = %s", [entries[4].pk])
    tamper("DELETE FROM audit_auditseal WHERE entry_id = %s", [entries[4].pk])
    verify()
    with pytest.raises(CommandError, match=f"^head {noted} is gone"):
        verify(noted)


def test_w12_a_chain_made_anew_misses_the_head_in_the_log(entries, tamper):
    noted = str(chain.head())
    tamper("UPDATE audit_auditentry SET reason = 'forged' WHERE id = %s", [entries[1].pk])
    tamper("DELETE FROM audit_auditseal")
    tasks.seal()
    verify()
    with pytest.raises(CommandError, match=f"^head {noted} is gone"):
        verify(noted)


def test_w12_a_user_who_goes_leaves_the_chain_whole(make_user):
    user = make_user(username="jana")
    services.record(action="test", by=user)
    tasks.seal()
    user.delete()
    assert chain.verify() == 1


def test_w12_sealing_goes_on_batch_by_batch(entries, monkeypatch):
    monkeypatch.setattr(chain, "BATCH", 2)
    for n in range(5):
        services.record(action=f"more.{n}")
    assert chain.seal() == 5
    assert chain.verify() == 10


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditentry SET action = 'forged'",
        "UPDATE audit_auditentry SET actor_id = 1",
        "UPDATE audit_auditseal SET digest = ''",
    ],
)
def test_w12_the_database_refuses_changes(entries, statement):
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite refuses changes only")
@pytest.mark.parametrize("table", ["audit_auditentry", "audit_auditseal"])
def test_w12_the_database_refuses_deletion(entries, table):
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"DELETE FROM {table}")


def run_in_thread(work) -> threading.Thread:
    """``work`` with a database connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_w12_entries_recorded_and_sealed_at_the_same_time_are_sealed_once():
    def record() -> None:
        for n in range(25):
            services.record(action=f"test.{n}")

    def seal() -> None:
        while not recorded.is_set():
            tasks.seal()

    recorded = threading.Event()
    recorders, sealers = [run_in_thread(record) for _ in range(3)], [run_in_thread(seal) for _ in range(2)]
    for thread in recorders:
        thread.join()
    recorded.set()
    for thread in sealers:
        thread.join()
    tasks.seal()
    assert chain.verify() == AuditEntry.objects.count() == 75


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_w12_an_entry_still_on_its_way_is_not_overtaken(monkeypatch):
    """A smaller id may be committed later: sealing the larger one first would make it look inserted."""
    recorded, commit = threading.Event(), threading.Event()

    def record_slowly() -> None:
        with transaction.atomic():
            services.record(action="test.slow")
            recorded.set()
            assert commit.wait(60)

    slow = run_in_thread(record_slowly)
    assert recorded.wait(60)
    services.record(action="test.fast")
    monkeypatch.setattr(chain, "WRITERS_SECONDS", 0.2)
    assert chain.seal() == 0
    commit.set()
    slow.join()
    assert chain.seal() == 2
    assert chain.verify() == 2
