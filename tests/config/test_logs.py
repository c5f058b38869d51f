"""Log lines: their form, their ids, and what may never stand in them (T9, I5)."""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from celery import shared_task
from django.db import DatabaseError, connection
from django.urls import reverse

from jobs import log_context, log_lines
from mailkit.errors import ConnectionLost
from mailkit.tracebacks import describe, format_traceback
from tests.fixtures_log import Log

ROOT = Path(__file__).resolve().parents[2]
CANARY = "Kanarienvogel-4711"


@pytest.fixture
def log(write_log) -> Log:
    return write_log("DEBUG", "json")


logger = logging.getLogger("tests.logs")


# --- form ----------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object_with_time_in_utc_and_the_ids_bound(log):
    with log_context.bound(request_id="r-1", account_id=7):
        logger.info("Poll of %s", "Info", extra={"fields": {"new": 3}})
    [line] = log.lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "INFO",
        "logger": "tests.logs",
        "message": "Poll of Info",
        "request_id": "r-1",
        "account_id": 7,
        "new": 3,
    }
    logger.info("outside")
    assert "request_id" not in log.lines[-1]


@pytest.mark.parametrize("form", log_lines.FORMATS)
@pytest.mark.parametrize("evil", ["\r\n2026-11-24 ERROR forged", "\x1b[2J", "\u2028x", "\x00", "\x85"])
def test_t9_no_text_forges_a_line_or_moves_the_terminal(write_log, form, evil):
    log = write_log("INFO", form)
    with log_context.bound(request_id=evil):
        logger.warning("Subject %s", evil, extra={"fields": {"path": evil}})
    assert len(log.text.splitlines()) == 1
    assert log.text.rstrip("\n").isprintable()


def test_an_exception_is_told_by_frames_and_type_in_one_record(write_log):
    for form in log_lines.FORMATS:
        log = write_log("INFO", form)
        _log_failure(ValueError(CANARY))
        assert "in _log_failure" in log.text
        assert "ValueError" in log.text
        assert CANARY not in log.text
    first, *rest = log.text.splitlines()
    assert first.endswith("failed")
    assert rest
    assert all(line.startswith("    ") for line in rest)  # what is not indented begins a record


def _log_failure(error: Exception) -> None:
    try:
        raise error
    except type(error):
        logger.exception("failed")


@pytest.mark.parametrize(("level", "form"), [("LOUD", "json"), ("INFO", "xml")])
def test_unknown_level_and_form_still_log(write_log, level, form):
    log = write_log(level, form)
    logger.info("x")
    logger.debug("y")
    assert [line["message"] for line in log.lines] == ["x"]


def test_t9_our_own_keys_are_redacted_whoever_writes_them(log):
    logger.error("cannot connect with a-key-of-our-own")
    assert log.lines[0]["message"] == "cannot connect with [redacted]"


# --- exceptions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(CANARY), "ValueError"),
        (KeyError(CANARY), "KeyError"),
        (UnicodeEncodeError("ascii", CANARY, 0, 1, CANARY), "UnicodeEncodeError"),
        (ConnectionLost(CANARY), "mailkit.errors.ConnectionLost: connection_lost"),
        (ConnectionRefusedError(111, "refused"), "ConnectionRefusedError: [Errno 111] refused"),
        (OSError(CANARY), "OSError"),
        (sqlite3.IntegrityError("UNIQUE failed: a.b"), "sqlite3.IntegrityError: UNIQUE failed: a.b"),
        (TypeError("'NoneType' object\nis not iterable"), "TypeError: 'NoneType' object is not iterable"),
        (DatabaseError(CANARY), "django.db.utils.DatabaseError"),
    ],
)  # fmt: skip
def test_t9_exceptions_are_described_without_the_values_they_carry(error, told):
    assert describe(error) == told


@pytest.mark.skipif(connection.vendor != "postgresql", reason="words of PostgreSQL")
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (f"SELECT '{CANARY}'::int", "[22P02] invalid input syntax for type integer"),
        ("SELECT * FROM missing_table", '[42P01] relation "missing_table" does not exist'),
        (f"INSERT INTO once VALUES ('{CANARY}'), ('{CANARY}')", "[23505] duplicate key value violates"),
        (f"INSERT INTO once VALUES ('{CANARY}'), (NULL)", '[23502] null value in column "word" of relation'),
    ],
)  # fmt: skip
def test_t9_rows_in_the_detail_of_postgresql_stay_out(db, statement, told):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE once (word text PRIMARY KEY) ON COMMIT DROP")
        with pytest.raises(DatabaseError) as caught:
            cursor.execute(statement)
    assert isinstance(caught.value.__cause__, psycopg.Error)
    text = format_traceback(caught.value)
    assert told in text
    assert CANARY not in text


def test_the_exceptions_that_led_to_one_are_told_first():
    try:
        try:
            raise ConnectionResetError(104, "Connection reset by peer")
        except OSError as error:
            raise ConnectionLost(CANARY) from error
    except ConnectionLost as error:
        first, last = format_traceback(error).split("\nwhich led to\n")
    assert first.endswith("ConnectionResetError: [Errno 104] Connection reset by peer")
    assert last.endswith("mailkit.errors.ConnectionLost: connection_lost")


def test_t9_an_exception_as_an_argument_loses_its_values_too(log):
    logger.error("Task handler raised error: %r", ValueError(CANARY))
    logger.error("%(what)s failed", {"what": ValueError(CANARY)})
    logger.error(ValueError(CANARY))
    assert [line["message"] for line in log.lines] == [
        "Task handler raised error: 'ValueError'",
        "ValueError failed",
        "ValueError",
    ]


def lines_of_process(code: str) -> list[dict]:
    """What a process of its own writes to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return [json.loads(line) for line in done.stderr.splitlines()]


UNCAUGHT = """
import threading, django
django.setup()
def fail():
    raise ValueError("{canary}")
{call}
"""


@pytest.mark.parametrize(
    "call", ["fail()", "thread = threading.Thread(target=fail); thread.start(); thread.join()"]
)
def test_t9_what_nobody_catches_is_a_line_like_any_other(call):
    [line] = lines_of_process(UNCAUGHT.format(canary=CANARY, call=call))
    assert (line["level"], line["message"]) == ("CRITICAL", "Nobody caught an exception")
    assert line["exception"].endswith("in fail\nValueError")


def test_a_warning_is_a_line_like_any_other():
    [line] = lines_of_process("import django, warnings; django.setup(); warnings.warn('old\\nnews')")
    assert (line["level"], line["logger"]) == ("WARNING", "py.warnings")
    assert "UserWarning: old" in line["message"]


# --- requests ------------------------------------------------------------------------------------------


def request_lines(log: Log) -> list[dict]:
    return [line for line in log.lines if line["logger"] == "config.request_log"]


def test_a_request_is_one_line_without_its_query(client, agent, log):
    client.force_login(agent)
    response = client.get(reverse("cockpit:start"), {"q": CANARY})
    [line] = request_lines(log)
    assert (line["method"], line["path"], line["status"]) == ("GET", "/", 200)
    assert line["user_id"] == agent.pk
    assert line["duration_ms"] >= 0
    assert line["request_id"] == response["X-Request-ID"]
    assert CANARY not in log.text


def test_probes_are_told_at_debug_while_all_is_well(client, db, settings, log):
    settings.METRICS_TOKEN = "t" * 40
    client.get("/metrics", headers={"Authorization": f"Bearer {'t' * 40}"})
    client.get("/metrics")
    assert [line["level"] for line in request_lines(log)] == ["DEBUG", "INFO"]


@pytest.mark.parametrize("given", ["0af7651916cd43dd", "35457bf4-8b9f-4f41-be32-9c199879ddd9", "nginx-1.a_b"])
def test_a_request_id_is_taken_over_from_the_proxy_alone(client, db, settings, given):
    settings.BEHIND_PROXY = True
    assert client.get("/login/", headers={"X-Request-ID": given})["X-Request-ID"] == given
    settings.BEHIND_PROXY = False
    answer = client.get("/login/", headers={"X-Request-ID": given})["X-Request-ID"]
    assert answer != given
    uuid.UUID(answer)


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "a b c d e f g", "12345678\u0660", "{a:1234567}"])
def test_what_does_not_look_like_a_request_id_is_replaced(client, db, settings, given):
    settings.BEHIND_PROXY = True
    uuid.UUID(client.get("/login/", headers={"X-Request-ID": given})["X-Request-ID"])


# --- tasks ---------------------------------------------------------------------------------------------


@shared_task(name="tests.count")
def count(account_id: int) -> dict[str, object]:
    logger.info("inside")
    return {"new": account_id, "error": "busy" if account_id == 13 else ""}


@shared_task(name="tests.tick")
def tick() -> None:
    count.apply(args=[5])


@shared_task(name="tests.fail")
def fail(account_id: int) -> None:
    raise ValueError(CANARY)


def test_a_task_is_one_line_with_its_outcome_and_every_line_inside_bears_its_ids(log):
    result = count.apply(args=[7])
    inside, outcome = log.lines
    ids = {"task_id": result.id, "task": "tests.count", "account_id": 7, "request_id": result.id}
    assert inside.items() >= ids.items()
    assert outcome.items() >= {**ids, "message": "tests.count done", "level": "INFO", "new": 7}.items()
    assert outcome["duration_ms"] >= 0
    logger.info("after")
    assert "task_id" not in log.lines[-1]


def test_an_outcome_with_an_error_is_a_warning_and_a_tick_is_told_at_debug(log):
    count.apply(args=[13])
    tick.apply()
    levels = {(line["message"], line["level"]) for line in log.lines}
    assert ("tests.count done", "WARNING") in levels
    assert ("tests.tick done", "DEBUG") in levels


def test_t9_a_task_that_breaks_off_is_told_without_values(log):
    fail.apply(args=[7])
    [line] = [line for line in log.lines if line["level"] == "ERROR"]
    assert (line["message"], line["account_id"], line["task"]) == ("tests.fail failed", 7, "tests.fail")
    assert "in fail" in line["exception"]
    assert CANARY not in log.text
    assert log_context.fields() == {}


def test_one_id_follows_a_request_to_the_task_it_wakes_and_on(client, monkeypatch):
    sent = []
    monkeypatch.setattr(
        "kombu.messaging.Producer.publish", lambda _self, _body, headers=None, **_kwargs: sent.append(headers)
    )
    with log_context.bound(request_id="click-4711"):
        count.apply_async(args=[1])
    count.apply_async(args=[1])
    assert sent[0]["root_id"] == "click-4711"
    assert sent[1]["root_id"] == sent[1]["id"]
