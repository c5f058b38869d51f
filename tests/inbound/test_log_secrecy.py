"""What fails on the way in and out tells the log neither passwords nor what a mail says (T9, I5)."""

from __future__ import annotations

import base64
import json

import psycopg
import pytest
from celery import current_app
from celery.app.trace import trace_task
from django.db import DataError, IntegrityError, OperationalError, connection
from django.urls import reverse
from django.utils import timezone

from inbound import pipeline
from inbound.models import IncomingMessage
from inbound.tasks import poll_account
from jobs import leases, log_lines
from mailaccounts import credentials
from mailaccounts.models import SmtpSettings
from outbound import services
from outbound.tasks import deliver
from tests.inbound.conftest import mail
from tests.outbound.conftest import draft
from tests.servers import SmtpSink

PASSWORD = "Kanari-Passwort-4711"
CONTENT = "Kanarienvogelfutter"
FORMS = (
    CONTENT,
    base64.b64encode(CONTENT.encode()).decode()[:-4],
    PASSWORD,
    base64.b64encode(PASSWORD.encode()).decode().rstrip("="),
    base64.b64encode(f"\0anna\0{PASSWORD}".encode()).decode().rstrip("="),
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]


@pytest.fixture(params=log_lines.FORMATS)
def log(request, write_log):
    return write_log("DEBUG", request.param)


def assert_secret(log) -> None:
    assert log.text, "nothing was logged"
    assert [form for form in FORMS if form in log.text] == []


def row_of(words: str) -> Exception:
    """What the database says when it refuses a row, with the row in it."""
    if connection.vendor != "postgresql":
        return IntegrityError(f"Failing row contains ({words}).")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS t (a text CHECK (a = ''))")
        with pytest.raises(IntegrityError) as caught:
            cursor.execute("INSERT INTO t VALUES (%s)", [words])
    assert words in str(caught.value)
    return caught.value


@pytest.mark.parametrize("kind", [ValueError, DataError, "row", OperationalError, psycopg.DataError])
def test_t9_i5_imports_that_fail_say_nothing_of_the_mail(make_station, monkeypatch, log, kind):
    station = make_station()
    station.tolerates_failures = True
    station.deliver(mail(CONTENT, body=CONTENT, message_id=f"<{CONTENT}@x.example>"))
    error = row_of(CONTENT) if kind == "row" else kind(CONTENT)

    def refuse(_plan):
        raise error

    monkeypatch.setattr(pipeline, "import_batch", refuse)
    poll_account.apply(args=[station.account.pk])
    leases.revoke([station.account.lease_name])
    assert_secret(log)
    told = "inbound.poll_account failed" if kind is OperationalError else "inbound.poll_account done"
    assert told in log.text


def test_t9_i5_imports_that_go_through_say_nothing_of_the_mail(make_station, log):
    station = make_station()
    station.deliver(*[mail(CONTENT, body=CONTENT, message_id="<a@x.example>") for _ in range(3)])
    poll_account.apply(args=[station.account.pk])
    assert IncomingMessage.objects.count() == 3
    assert_secret(log)


def test_t9_i5_logins_that_fail_say_nothing_of_the_password(make_station, log):
    station = make_station()
    imap = station.account.imap
    imap.password_encrypted = credentials.encrypt(
        PASSWORD, purpose=credentials.IMAP_PASSWORD, row_uuid=imap.uuid
    )
    imap.save()
    poll_account.apply(args=[station.account.pk])
    assert_secret(log)
    assert "authentication_failed" in log.text


@pytest.mark.parametrize("fault", ["login", "refused", "dropped", "none"])
def test_t9_i5_deliveries_that_fail_say_nothing_of_mail_or_password(
    make_station, server_certificate, log, settings, authority, fault
):
    settings.MAIL_CA_FILE = authority.ca_file
    users = {"anna": "another" if fault == "login" else PASSWORD}
    with SmtpSink(certificate=server_certificate, security="starttls", users=users) as sink:
        sink.script.dot = f"554 5.7.1 rejected: {CONTENT}" if fault == "refused" else None
        sink.script.drop_at = "DOT" if fault == "dropped" else None
        smtp = make_station("service@firma.example", sends=True).account.smtp
        smtp.port, smtp.security = sink.port, SmtpSettings.Security.STARTTLS
        smtp.authentication, smtp.has_own_login, smtp.username = "password", True, "anna"
        smtp.password_encrypted = credentials.encrypt(
            PASSWORD, purpose=credentials.SMTP_PASSWORD, row_uuid=smtp.uuid
        )
        smtp.save()
        row = services.queue_message(draft=draft(subject=CONTENT, text=CONTENT), by=None)
        deliver.apply(args=[smtp.account_id])
    row.refresh_from_db()
    wanted = {"login": "queued", "refused": "failed", "dropped": "uncertain", "none": "sent"}
    assert row.state == wanted[fault], row.last_error
    assert_secret(log)
    assert "outbound.deliver done" in log.text


def test_one_id_follows_a_click_to_the_answer_it_set_off(
    make_station, mail_administrator, client, write_log, monkeypatch
):
    """Request, poll, and the delivery of the automatic answer bear the id of the response."""
    log = write_log("INFO", "json")
    station = make_station("service@firma.example", sends=True)
    station.answer_automatically()
    station.deliver(mail("Frage"), at=timezone.now())
    sent = []

    def send(_self, body, headers, **_kwargs) -> None:
        sent.append((headers, body))

    monkeypatch.setattr("kombu.messaging.Producer.publish", send)
    client.force_login(mail_administrator)
    response = client.post(reverse("inbound:poll_now", args=[station.account.pk]))
    for headers, (args, kwargs, _embed) in sent:  # grows while it is worked off, as the broker's queue would
        trace_task(
            current_app.tasks[headers["task"]], headers["id"], args, kwargs, request=headers, app=current_app
        )
    lines = [json.loads(line) for line in log.text.splitlines()]
    told = {line.get("task") for line in lines if line.get("request_id") == response["X-Request-ID"]}
    assert told >= {None, "inbound.poll_now", "outbound.deliver"}
