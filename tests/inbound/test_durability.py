"""Which commits of an import return before they are on disk (docs/adr/0014)."""

import pytest
from django.db import connection

from jobs import failpoints
from tests.inbound.conftest import mail
from tickets.numbering import berlin_today, reserve

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite always waits"),
]


@pytest.fixture
def waiting(original):
    """A session that waits, as PostgreSQL's default is; the clusters of the suite do not."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO on")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET synchronous_commit")


def _synchronous_commit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return str(cursor.fetchone()[0])


def test_r5_only_the_bytes_of_a_mail_are_committed_without_waiting(waiting, station, monkeypatch):
    station.deliver(mail())
    settings = {}
    monkeypatch.setattr(failpoints, "reached", lambda name: settings.update({name: _synchronous_commit()}))
    station.poll()
    assert settings.pop("in_store") == "off"
    assert settings["in_commit"] == "on"
    assert set(settings.values()) == {"on"}


def test_reserving_numbers_lets_later_commits_wait(waiting):
    assert reserve(2, berlin_today())
    assert _synchronous_commit() == "on"
