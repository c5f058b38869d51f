"""/metrics: who may read it, and that it tells what the database holds."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu import Connection, Queue
from prometheus_client.parser import text_string_to_metric_families

from archive import services as archive
from cockpit.metrics import HEALTH_STATES, exposition
from cockpit.models import Alert
from inbound.models import IncomingMessage, Mailbox
from jobs import heartbeats, queues
from jobs.models import Heartbeat
from mailaccounts.health import LARGE_BACKLOG, health_card
from mailaccounts.models import AccountHealth, ImapSettings, MailAccount, OAuthToken
from outbound.models import DeliveryAttempt, OutgoingMessage

pytestmark = pytest.mark.django_db

TOKEN = "a-token-of-the-tests-0123456789abcdef"


@pytest.fixture
def scrape(client, settings):
    """The samples by name and state: ``scrape()["erp_mail_accounts", "ok"]``."""
    settings.METRICS_TOKEN = TOKEN

    def read() -> dict[tuple[str, str], float]:
        response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200
        families = text_string_to_metric_families(response.content.decode())
        return {(s.name, s.labels.get("state", "")): s.value for family in families for s in family.samples}

    return read


def account(name: str, *, imap: bool = True, health: dict | None = None, **fields) -> MailAccount:
    made = MailAccount.objects.create(display_name=name, email=f"{name}@erp.example", **fields)
    if imap:
        ImapSettings.objects.create(account=made, host="imap.erp.example", username=name)
    if health is not None:
        AccountHealth.objects.create(account=made, **health)
    return made


def outgoing(sender: MailAccount, number: int, **fields) -> OutgoingMessage:
    now = timezone.now()
    values = {"next_attempt_at": now, "give_up_at": now + timedelta(days=4)} | fields
    [raw] = archive.store_raw([f"Subject: {number}\r\n\r\n".encode()]).values()
    return OutgoingMessage.objects.create(
        account=sender,
        purpose=OutgoingMessage.Purpose.TICKET,
        from_address=sender.email,
        message_id=f"<{number}@erp.example>",
        raw=raw,
        **values,
    )


def incoming(mailbox: Mailbox, uid: int, state: str, **fields) -> None:
    IncomingMessage.objects.create(
        account=mailbox.account,
        mailbox=mailbox,
        uid_validity=1,
        uid=uid,
        internal_date=timezone.now(),
        size=1,
        state=state,
        **fields,
    )


# --- who -----------------------------------------------------------------------------------------------


def test_without_a_token_in_the_settings_there_is_no_such_page(client, settings):
    settings.METRICS_TOKEN = ""
    for header in ("Bearer ", "Bearer", "", f"Bearer {TOKEN}"):
        assert client.get("/metrics", headers={"Authorization": header}).status_code == 404


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer ümläut"]
)
def test_only_the_bearer_of_the_token_is_let_in(client, settings, mail_administrator, header):
    settings.METRICS_TOKEN = TOKEN
    client.force_login(mail_administrator)
    response = client.get("/metrics", headers={"Authorization": header} if header is not None else {})
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.content == b""


def test_it_is_prometheus_text_format_and_never_cached(client, settings):
    settings.METRICS_TOKEN = TOKEN
    response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "no-store" in response["Cache-Control"]
    assert client.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405


# --- what ----------------------------------------------------------------------------------------------


def test_accounts_are_counted_by_the_states_that_their_pages_show(scrape):
    now = timezone.now()
    failing = {"failing_since": now, "error_code": "host_not_found"}
    account("waiting")
    account("waiting2", health={})
    account("ok", health={"last_success_at": now})
    account("warning", health={"last_success_at": now, "warning_code": "no_uidplus"})
    account("backlog", health={"last_success_at": now, "backlog": LARGE_BACKLOG})
    account("failing", health=failing)
    account("paused", health=failing | {"is_paused": True})
    account("hold", health=failing, on_hold_since=now)
    account("retired", health=failing, retired_at=now)
    account("sending", imap=False)
    account("sending2", imap=False, health=failing)
    shown = [health_card(one).state for one in MailAccount.objects.select_related("imap", "health")]
    figures = scrape()
    assert {state: figures["erp_mail_accounts", state] for state in HEALTH_STATES} == {
        state: shown.count(state) for state in HEALTH_STATES
    }
    assert set(shown) == set(HEALTH_STATES)


def test_ages_and_backlog_are_those_of_accounts_that_should_be_polled(scrape):
    now = timezone.now()
    old = {"last_success_at": now - timedelta(days=9), "next_poll_at": now - timedelta(days=9), "backlog": 7}
    account("retired", health=old, retired_at=now)
    account("hold", health=old, on_hold_since=now)
    account("fresh", health={"last_success_at": now, "next_poll_at": now + timedelta(minutes=1)})
    figures = scrape()
    assert figures["erp_mail_poll_overdue_seconds", ""] == 0
    assert figures["erp_mail_last_successful_poll_age_seconds", ""] < 60
    assert figures["erp_mail_backlog_messages", ""] == 0
    late = {"last_success_at": now - timedelta(minutes=10), "next_poll_at": now - timedelta(minutes=5)}
    account("late", health=late | {"backlog": 30})
    account("paused", health=old | {"failing_since": now, "is_paused": True, "backlog": 12})
    figures = scrape()
    assert 300 <= figures["erp_mail_poll_overdue_seconds", ""] < 400
    assert 9 * 86400 <= figures["erp_mail_last_successful_poll_age_seconds", ""] < 9 * 86400 + 100
    assert figures["erp_mail_backlog_messages", ""] == 42


def test_ledger_and_quarantine(scrape):
    mailbox = Mailbox.objects.create(account=account("service"), name="INBOX", uid_validity=1)
    for uid, state in enumerate(["imported", "imported", "duplicate", "seen", "quarantined"], start=1):
        incoming(mailbox, uid, state)
    incoming(mailbox, 9, "quarantined", discarded_at=timezone.now())
    figures = scrape()
    ledger = {state: figures["erp_mail_ledger_messages", state] for state in IncomingMessage.State.values}
    assert ledger == dict.fromkeys(IncomingMessage.State.values, 0) | {
        "imported": 2,
        "duplicate": 1,
        "seen": 1,
        "quarantined": 2,
    }
    assert figures["erp_mail_quarantine_open", ""] == 1


def test_outbox_and_sent_copies(scrape):
    sender = account("service")
    settled = {"settled_at": timezone.now()}
    outgoing(sender, 1, state="sent", copy_state="pending")
    outgoing(sender, 2, state="sent", copy_state="failed")
    outgoing(sender, 3, state="sent", copy_state="done")
    outgoing(sender, 4, state="failed")
    outgoing(sender, 5, state="uncertain", **settled)
    figures = scrape()
    outbox = {state: figures["erp_mail_outbox_messages", state] for state in OutgoingMessage.State.values}
    assert outbox == dict.fromkeys(OutgoingMessage.State.values, 0) | {"sent": 3, "failed": 1, "uncertain": 1}
    assert (figures["erp_mail_sent_copies", "pending"], figures["erp_mail_sent_copies", "failed"]) == (1, 1)
    assert figures["erp_mail_outbox_needing_attention", ""] == 1
    assert figures["erp_mail_undelivered_oldest_seconds", ""] == 0


def test_the_oldest_undelivered_mail_is_one_that_should_have_left(scrape):
    sender = account("service")
    now = timezone.now()
    hour_ago, tomorrow = now - timedelta(hours=1), now + timedelta(days=1)
    planned = outgoing(sender, 1, next_attempt_at=tomorrow)
    OutgoingMessage.objects.filter(pk=planned.pk).update(created_at=hour_ago)
    assert scrape()["erp_mail_undelivered_oldest_seconds", ""] == 0
    OutgoingMessage.objects.filter(pk=planned.pk).update(attempts=3)
    assert 3600 <= scrape()["erp_mail_undelivered_oldest_seconds", ""] < 3700


def test_the_worker_heartbeat(scrape):
    name = ("erp_mail_worker_heartbeat_age_seconds", "")
    assert name not in scrape()
    heartbeats.beat("worker")
    assert scrape()[name] < 60
    Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=5))
    assert 300 <= scrape()[name] < 400


def attempt(message: OutgoingMessage, outcome: str, **fields) -> None:
    now = timezone.now()
    values = {"started_at": now, "finished_at": now, "outcome": outcome} | fields
    DeliveryAttempt.objects.create(message=message, account_id=message.account_id, **values)


def labelled(exposition: bytes, name: str) -> dict[str, float]:
    """Samples of a metric by its one label."""
    families = text_string_to_metric_families(exposition.decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {next(iter(sample.labels.values())): sample.value for sample in samples}


def test_deliveries_are_counted_by_outcome_from_their_attempts():
    message = outgoing(account("service"), 1)
    for outcome in ("connection_refused", "connection_refused", "sent"):
        attempt(message, outcome)
    attempt(message, "", finished_at=None)
    assert labelled(exposition(), "erp_mail_deliveries_total") == {"connection_refused": 2, "sent": 1}


def test_tasks_that_wait_in_the_broker_are_counted_by_queue(settings):
    queue = f"tests-{uuid.uuid4()}"
    settings.CELERY_TASK_QUEUES = [Queue(queue, routing_key=queue)]
    assert labelled(exposition(), "erp_mail_queue_tasks") == {queue: 0}
    with current_app.connection_for_write() as link:
        for _ in range(3):
            link.SimpleQueue(queue).put({})
        assert labelled(exposition(), "erp_mail_queue_tasks") == {queue: 3}
        link.default_channel.queue_purge(queue)


def test_a_broker_that_is_away_leaves_the_other_figures(monkeypatch):
    monkeypatch.setattr(
        queues.current_app, "connection_for_read", lambda **_options: Connection("redis://127.0.0.1:1/0")
    )
    assert labelled(exposition(), "erp_mail_queue_tasks") == {}
    assert b"erp_mail_quarantine_open 0.0" in exposition()


def test_i1_servers_and_ledger_that_differ_are_seen(scrape):
    name = ("erp_mail_ledger_difference", "")
    sender = account("service")
    more = Mailbox.objects.create(
        account=sender,
        name="INBOX",
        uid_validity=1,
        server_messages=4,
        undiscovered=1,
        seen_at=timezone.now(),
    )
    for uid in (1, 2, 3):
        incoming(more, uid, "imported")
    incoming(more, 4, "imported", server_copy="deleted")
    incoming(more, 5, "imported", server_copy="gone")
    Mailbox.objects.create(account=sender, name="never polled", server_messages=9)
    assert scrape()[name] == 0
    Mailbox.objects.filter(pk=more.pk).update(server_messages=6)
    less = Mailbox.objects.create(account=sender, name="Sent", uid_validity=2, seen_at=timezone.now())
    incoming(less, 1, "imported")  # of an earlier UIDVALIDITY: void
    assert scrape()[name] == 2
    Mailbox.objects.filter(pk=less.pk).update(uid_validity=1)
    assert scrape()[name] == 3


def test_accounts_polled_recently(scrape):
    now = timezone.now()
    account("fresh", health={"last_attempt_at": now - timedelta(minutes=4)})
    account("old", health={"last_attempt_at": now - timedelta(minutes=6)})
    assert scrape()["erp_mail_accounts_polled_recently", ""] == 1


def connected(name: str, *, refreshed: timedelta, expires: timedelta, **fields) -> OAuthToken:
    now = timezone.now()
    values = {"refreshed_at": now - refreshed, "expires_at": now + expires, "consented_at": now} | fields
    return OAuthToken.objects.create(
        account=account(name), provider="google", identity=f"{name}@erp.example", **values
    )


def test_r31_the_oldest_token_and_the_next_to_expire_are_seen(scrape):
    age, left = ("erp_mail_oauth_token_age_seconds", ""), ("erp_mail_oauth_token_expires_in_seconds", "")
    assert not {age, left} & set(scrape())
    minute = timedelta(minutes=1)
    connected("old", refreshed=50 * minute, expires=10 * minute)
    connected("next", refreshed=5 * minute, expires=4 * minute)
    lost = connected("lost", refreshed=900 * minute, expires=-840 * minute, state="reconnect")
    held = connected("held", refreshed=900 * minute, expires=-840 * minute)
    MailAccount.objects.filter(pk=held.account_id).update(on_hold_since=timezone.now())
    figures = scrape()
    assert 3000 <= figures[age] < 3060
    assert 180 < figures[left] <= 240
    OAuthToken.objects.filter(pk=lost.pk).update(state="active")
    assert scrape()[left] < -50_000


def test_alerts_are_counted_by_kind_and_by_whether_anybody_knows():
    now = timezone.now()
    holds = dict.fromkeys(("since", "first_seen_at", "last_seen_at", "opened_at"), now)
    unmailed = {"mail_problem": "no_carrier"}
    seen, over, observed = {"acknowledged_at": now}, {"closed_at": now}, {"opened_at": None}
    for number, fields in enumerate(({}, unmailed, unmailed | seen, over, observed)):
        Alert.objects.create(kind="polling", severity=2, account=account(f"a{number}"), **holds | fields)
    one_each = {("polling", state): 1 for state in ("open", "unmailed", "acknowledged")}
    assert alerts() == one_each
    Heartbeat.objects.create(name="worker", at=now - timedelta(minutes=1))
    assert alerts() == one_each | {("worker", "unmailed"): 1}


def alerts() -> dict[tuple[str, str], float]:
    """Alerts by kind and state where there are any; each series is there always."""
    families = text_string_to_metric_families(exposition().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == "erp_mail_alerts"]
    assert len(samples) == 3 * len(Alert.Kind)
    return {(one.labels["kind"], one.labels["state"]): one.value for one in samples if one.value}


@pytest.mark.parametrize(
    ("name", "metric"),
    [("watcher", "watcher_heartbeat"), ("backup", "backup"), ("restore_drill", "restore_drill")],
)
def test_ages_of_what_nobody_sees(scrape, name, metric):
    key = (f"erp_mail_{metric}_age_seconds", "")
    assert key not in scrape()
    Heartbeat.objects.create(name=name, at=timezone.now() - timedelta(hours=1))
    assert 3600 <= scrape()[key] < 3700


def test_the_number_of_queries_does_not_grow_with_the_data(scrape):
    heartbeats.beat("worker")
    counts = []
    for accounts in (0, 5):
        for number in range(accounts):
            sender = account(f"a{number}", health={"failing_since": timezone.now()})
            outgoing(sender, number)
            incoming(Mailbox.objects.create(account=sender, name="INBOX", uid_validity=1), 1, "imported")
        with CaptureQueriesContext(connection) as captured:
            scrape()
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 14


def test_operators_read_about_every_metric_and_alert_on_none_that_is_not_there(scrape):
    for name in ("worker", "watcher", "backup", "restore_drill"):
        heartbeats.beat(name)
    attempt(outgoing(account("service"), 1), "sent")
    connected("token", refreshed=timedelta(0), expires=timedelta(hours=1))
    text = (Path(__file__).resolve().parents[2] / "docs/operations.md").read_text()
    assert set(re.findall(r"erp_mail_\w+", text)) == {name for name, _state in scrape()}
    states = re.findall(r"^\| `(\w+)` \|", text.split("## What each health state means")[1], re.MULTILINE)
    assert sorted(states) == sorted(HEALTH_STATES)
