"""/healthz: what monitoring sees."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from cockpit import health
from inbound.models import IncomingMessage, Mailbox
from jobs import heartbeats
from jobs.models import Heartbeat
from mailaccounts.models import MailAccount

pytestmark = pytest.mark.django_db


def test_everything_is_well_while_the_worker_beats(client, original):
    heartbeats.beat("worker")
    response = client.get("/healthz")
    body = response.json()
    assert response.status_code == 200
    assert (body["status"], body["database"], body["broker"], body["worker"]) == ("ok", "ok", "ok", "ok")
    assert body["ledger"] == {"imported": 0, "duplicate": 0, "excluded": 0, "bounce": 0, "quarantined": 0}
    assert body["queues"] == {"accounts_due": 0, "to_deliver": 0, "to_copy": 0}


def test_a_silent_watcher_is_told_and_nothing_is_down(client, original):
    heartbeats.beat("worker")
    assert client.get("/healthz").json()["watcher_heartbeat_age"] is None
    Heartbeat.objects.create(name="watcher", at=timezone.now() - timedelta(minutes=5))
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json()["watcher_heartbeat_age"] >= 300


def test_a_silent_worker_is_down(client, original):
    assert client.get("/healthz").status_code == 503
    Heartbeat.objects.create(name="worker", at=timezone.now() - timedelta(minutes=5))
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["worker"] == "down"


def test_a_dead_broker_is_down(client, original, settings, monkeypatch):
    heartbeats.beat("worker")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(health.current_app.conf, "broker_url", settings.CELERY_BROKER_URL)
    monkeypatch.setattr(health.current_app.conf, "broker_write_url", settings.CELERY_BROKER_URL)
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["broker"] == "down"


def test_a_dead_database_is_down_and_no_traceback(client, monkeypatch):
    def refuse(*_args):
        raise DatabaseError("gone")

    monkeypatch.setattr(connection, "cursor", refuse)
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["database"] == "down"


def test_the_ledger_is_counted_by_outcome(client, original):
    account = MailAccount.objects.create(display_name="Service", email="service@erp.example")
    mailbox = Mailbox.objects.create(account=account, name="INBOX", uid_validity=1)
    states = ["imported", "imported", "duplicate", "excluded", "bounce", "quarantined", "seen"]
    for uid, state in enumerate(states, start=1):
        IncomingMessage.objects.create(
            account=account,
            mailbox=mailbox,
            uid_validity=1,
            uid=uid,
            internal_date=timezone.now(),
            size=1,
            state=state,
        )
    ledger = client.get("/healthz").json()["ledger"]
    assert ledger == {"imported": 2, "duplicate": 1, "excluded": 1, "bounce": 1, "quarantined": 1}
