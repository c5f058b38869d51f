"""What ``manage.py check`` finds: one wrong setting, one finding, with an id and a remedy."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
import time_machine
from django.core import checks
from django.db import connection
from django.utils import timezone

from mailaccounts import credentials
from mailaccounts.models import ImapSettings, MailAccount

# Checks only read it; nothing connects.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")

ROOM = ("cockpit.", "mailaccounts.")
GOOD = {
    "SECRET_KEY": "Zk3vQx81LmT0pWs7Bd" * 3,
    "MAIL_KEYS": ["k1:" + base64.b64encode(bytes(range(32))).decode()],
    "DEBUG": False,
    "HTTPS": True,
    "BEHIND_PROXY": True,
    "SECURE_SSL_REDIRECT": True,
    "ALLOWED_HOSTS": ["erp.firma.de"],
    "BASE_URL": "https://erp.firma.de",
    "METRICS_TOKEN": "",
    "CELERY_BROKER_URL": "redis://erp:secret@redis:6379/0",
    "MAIL_ALLOWED_NETWORKS": ["public"],
    "MAIL_ALLOWED_PORTS": [993, 587],
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "json",
    "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "erp"}},
}
SQLITE = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nonexistent/erp.sqlite3"}}


@pytest.fixture
def found(settings):
    """``found(NAME=value, …)``: ids of our findings where everything else is as it should be."""

    def find(*, deploy: bool = True, **changes) -> set[str]:
        for name, value in {**GOOD, **changes}.items():
            setattr(settings, name, value)
        messages = checks.run_checks(include_deployment_checks=deploy)
        ours = [message for message in messages if str(message.id).startswith(ROOM)]
        assert all(message.hint and message.msg for message in ours)
        return {message.id.partition(".")[2] for message in ours}

    return find


def test_a_good_environment_has_no_findings(found):
    assert found() == set()


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"DEBUG": True}, "E001"),
        ({"ALLOWED_HOSTS": []}, "E002"),
        ({"ALLOWED_HOSTS": ["erp.firma.de", "*"]}, "E003"),
        ({"METRICS_TOKEN": "x" * 31}, "W004"),
        ({"CELERY_BROKER_URL": "http://redis:6379/0"}, "E006"),
        ({"DATABASES": SQLITE}, "W007"),
        ({"CELERY_BROKER_URL": "memory://localhost/"}, "I008"),
        ({"CELERY_BROKER_URL": "redis://redis:6379/0"}, "W009"),
        ({"CELERY_BROKER_URL": "rediss://erp@redis.firma.de:6379/0"}, "W009"),
        ({"MAIL_TIMEOUT_SECONDS": 61}, "E010"),
        ({"MAIL_TIMEOUT_SECONDS": 4}, "E010"),
        ({"MAIL_IDLE_SECONDS": 1741}, "E010"),
        ({"MAIL_MAX_MESSAGE_BYTES": 0}, "E010"),
        ({"LOCAL_MTA_PORT": 65_536}, "E010"),
        ({"TICKET_REOPEN_DAYS": -1}, "E010"),
        ({"SESSION_COOKIE_AGE": 0}, "E010"),
        ({"DRAIN_SECONDS": 0}, "E010"),
        ({"ALERT_AFTER_MINUTES": 0}, "E010"),
        ({"DATABASES": {"default": GOOD["DATABASES"]["default"] | {"CONN_MAX_AGE": -1}}}, "E010"),
        ({"MAIL_ALLOWED_PORTS": [993, "imaps"]}, "E011"),
        ({"MAIL_ALLOWED_PORTS": [0]}, "E011"),
        ({"LOG_LEVEL": "LOUD"}, "E012"),
        ({"LOG_FORMAT": "xml"}, "E013"),
        ({"USE_TZ": False}, "E014"),
        ({"CELERY_TIMEZONE": "UTC"}, "E015"),
        ({"BASE_URL": "erp.firma.de"}, "E016"),
        ({"BASE_URL": "https://erp.firma.de/?a=b"}, "E016"),
        ({"BASE_URL": "https://[erp.firma.de"}, "E016"),
        ({"BASE_URL": "http://erp.firma.de"}, "W017"),
        ({"BEHIND_PROXY": False}, "W018"),
        ({"HTTPS": False}, "W019"),
        ({"BASE_URL": ""}, "W020"),
        ({"SECRET_KEY": "short"}, "E001"),
        ({"MAIL_KEYS": []}, "W002"),
        ({"MAIL_KEYS": ["k1:c2hvcnQ="]}, "E003"),
        ({"MAIL_ALLOWED_NETWORKS": ["10.0.0.0/33"]}, "E004"),
        ({"MAIL_ALLOWED_NETWORKS": ["public", "loopback"]}, "W001"),
        ({"MAIL_CA_FILE": "/nonexistent/ca.pem"}, "E005"),
        ({"MAIL_KEYS": ["k1:" + "A" * 43 + "="]}, "E006"),
    ],
)
def test_one_wrong_setting_is_one_finding(found, changes, finding):
    assert found(**changes) == {finding}


@pytest.mark.parametrize(
    "changes",
    [
        {"CELERY_BROKER_URL": "redis://127.0.0.1:6379/0"},
        {"CELERY_BROKER_URL": "amqp://erp:secret@rabbit//"},
        {"DATABASES": SQLITE, "CELERY_BROKER_URL": "memory://localhost/"},
        {"METRICS_TOKEN": "x" * 32},
        {"MAIL_ALLOWED_PORTS": range(1, 65_536)},
        {"SECURE_SSL_REDIRECT": False, "BEHIND_PROXY": False},
    ],
)
def test_what_is_right_is_not_complained_about(found, changes):
    assert found(**changes) == set()


def test_trying_out_on_one_machine_has_no_findings(found):
    plain = {"HTTPS": False, "DEBUG": True, "BEHIND_PROXY": False, "BASE_URL": ""}
    assert found(deploy=False, **plain) == set()


def test_a_mail_key_made_of_the_secret_key_is_found(found):
    text = "0123456789-abcdefghij_KLMNOPQRST"
    assert found(MAIL_KEYS=[f"k1:{_base64(text)}"], SECRET_KEY=f"{text}{'x' * 30}") == {"E006"}
    assert found(MAIL_KEYS=[f"k1:{_base64(text)}"], SECRET_KEY=f"{_base64(text)}{'x' * 30}") == {"E006"}
    assert found(MAIL_KEYS=[f"k1:{_base64(text)}"], SECRET_KEY="y" * 60) == set()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("folder", "file", "finding"), [(0o755, 0o644, {"W005"}), (0o700, 0o644, set()), (0o755, 0o600, set())]
)
def test_t20_a_database_file_that_others_can_read(found, tmp_path, folder, file, finding):
    database = tmp_path / "erp.sqlite3"
    database.touch()
    database.chmod(file)
    tmp_path.chmod(folder)
    sqlite = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database)}}
    assert found(DATABASES=sqlite, CELERY_BROKER_URL="memory://localhost/") == finding


# --- what the database tells ---------------------------------------------------------------------------


def database_findings() -> list[checks.CheckMessage]:
    messages = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    return [message for message in messages if str(message.id).startswith(ROOM)]


def ids() -> set[str]:
    return {message.id.partition(".")[2] for message in database_findings()}


postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="settings of PostgreSQL")


@postgresql
def test_i2_a_postgresql_that_forgets_commits_is_found(db):
    with connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        [fsync] = cursor.fetchone()
        cursor.execute("SET synchronous_commit = off")
        told = " ".join(message.msg for message in database_findings())
        cursor.execute("SET synchronous_commit = on")
        told_after = " ".join(message.msg for message in database_findings())
    assert "synchronous_commit=off" in told
    assert "synchronous_commit=off" not in told_after
    assert ("fsync=off" in told_after) == (fsync == "off")


@postgresql
@pytest.mark.parametrize(("hours", "finding"), [(1, True), (0, False)])
def test_r33_a_clock_apart_from_the_databases_is_found(db, hours, finding):
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        assert ("W024" in ids()) == finding


@postgresql
def test_lz4_is_looked_for(db, monkeypatch):
    assert "W023" not in ids()
    monkeypatch.setattr("cockpit.checks.databases.COMPRESSION", "lz5")
    assert "W023" in ids()


@postgresql
@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_is_one_finding(monkeypatch):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    assert ids() == {"E021"}


def test_stored_passwords_under_a_key_that_is_gone(db, settings):
    account = MailAccount.objects.create(display_name="Info", email="info@firma.example")
    imap = ImapSettings(account=account, host="imap.firma.example", username="info")
    imap.password_encrypted = credentials.encrypt(
        "geheim", purpose=credentials.IMAP_PASSWORD, row_uuid=imap.uuid
    )
    imap.save()
    assert "W007" not in ids()
    settings.MAIL_KEYS = [credentials.new_key("k2")]
    [message] = [message for message in database_findings() if message.id == "mailaccounts.W007"]
    assert "hold: test." in message.msg
    settings.MAIL_KEYS = []
    assert "W007" in ids()
