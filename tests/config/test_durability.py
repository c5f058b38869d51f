"""What is committed survives a power cut: deletion on the server and the state "sent" rely on it (I2, I4)."""

import pytest
from django.conf import settings
from django.db import connection

FULL = 2


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's default is synchronous_commit=on")
def test_i2_sqlite_writes_every_commit_through(db):
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (FULL,)
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's setting is tested above")
def test_i2_no_setting_of_ours_weakens_postgresql(db):
    assert "synchronous_commit" not in str(settings.DATABASES["default"].get("OPTIONS", {}))
