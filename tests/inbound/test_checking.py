"""The regular look at all accounts: threads without a database, news only, nobody delayed."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from config.celery import app as celery
from inbound import checking, cleanup, polling, tasks
from inbound.models import Mailbox
from jobs import draining, leases
from mailaccounts import health
from mailaccounts.models import AccountHealth
from mailkit.errors import ConnectionTimeout
from tests.inbound.conftest import mail


def _due(*stations) -> None:
    for station in stations:
        AccountHealth.objects.filter(account=station.account).update(next_poll_at=timezone.now())


def _check() -> list[int]:
    news: list[int] = []
    checking.check_due(news.append)
    return news


def test_only_accounts_with_news_are_polled(make_station):
    quiet, busy = make_station(), make_station()
    for station in (quiet, busy):
        station.deliver(mail())
        station.poll()
    busy.deliver(mail("Neu"))
    _due(quiet, busy)
    assert _check() == [busy.account.pk]
    health = AccountHealth.objects.get(account=quiet.account)
    assert health.next_poll_at > timezone.now()


def test_an_account_never_looked_at_is_polled(station):
    assert _check() == [station.account.pk]


def test_mail_others_deleted_is_news(station):
    station.deliver(mail(), mail())
    station.poll()
    with station.server.rival(station.user) as client:
        client.uid("STORE", "1", "+FLAGS", r"(\Deleted)")
        client.expunge()
    _due(station)
    assert _check() == [station.account.pk]


def test_r2_a_deletion_that_was_not_reached_is_work_left_over(station, monkeypatch):
    station.change(deletes_on_server=True, delete_imported_after=timezone.now() - timedelta(hours=1))
    station.deliver(mail())
    with monkeypatch.context() as patch:
        patch.setattr(cleanup, "delete_on_server", lambda *_: pytest.fail("as a worker that dies here"))
        with pytest.raises(pytest.fail.Exception):
            station.poll_unchecked()
    _due(station)
    assert _check() == [station.account.pk]
    station.poll()
    assert station.server.flags(station.user) == {}
    _due(station)
    assert _check() == []


def test_left_over_work_is_taken_up(station):
    station.deliver(mail())
    station.poll()
    station.rows().update(state="stored")
    _due(station)
    assert _check() == [station.account.pk]


def test_r9_two_beats_look_at_an_account_once(station):
    assert (_check(), _check()) == ([station.account.pk], [])


def test_threads_touch_no_database(make_station, django_assert_num_queries):
    stations = [make_station() for _ in range(5)]
    for station in stations:
        station.poll()
    _due(*stations)
    looks = checking._prepare_all(checking._claim())
    with django_assert_num_queries(0), ThreadPoolExecutor() as pool:
        assert list(pool.map(checking._ask, looks)) == [False] * 5


def test_r12_a_silent_server_delays_nobody(make_station, settings):
    settings.MAIL_TIMEOUT_SECONDS = 3
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow, busy = make_station(port=silent.getsockname()[1]), make_station()
        Mailbox.objects.create(account=slow.account, name="INBOX", seen_at=timezone.now())
        busy.poll()
        busy.deliver(mail())
        _due(slow, busy)
        told: list[tuple[int, bool]] = []
        reached = threading.Event()

        def on_news(account_id):
            failures = AccountHealth.objects.get(account=slow.account).failures
            told.append((account_id, failures > 0))
            reached.set()

        checking.check_due(on_news)
    assert reached.is_set()
    assert told == [(busy.account.pk, False)]  # before the silent one was given up
    assert AccountHealth.objects.get(account=slow.account).error_code.startswith("connection_")


def test_an_unreadable_password_is_told_and_the_others_go_on(make_station):
    broken, fine = make_station(), make_station()
    broken.account.imap.password_encrypted = "test:AAAA:AAAA"
    broken.account.imap.save()
    assert _check() == [fine.account.pk]
    assert AccountHealth.objects.get(account=broken.account).error_code


def test_a_copy_checks_nothing(station, monkeypatch):
    monkeypatch.setattr("jobs.instance.is_original", lambda: False)
    monkeypatch.setattr(checking, "check_due", lambda *_, **__: pytest.fail("a copy must stay quiet"))
    tasks.check_accounts()


@pytest.mark.django_db(transaction=True)
def test_a_poll_in_a_thread_closes_nothing_it_does_not_own(make_station):
    station = make_station()
    station.deliver(mail())

    def work():
        try:
            tasks.poll_account(station.account.pk)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert station.states() == ["imported"]


def test_r12_servers_that_failed_are_asked_apart_from_the_others(make_station):
    failed, fine = make_station(), make_station()
    health.record_failure(failed.account.pk, ConnectionTimeout())
    _due(failed)
    news: list[int] = []
    checking.check_due(news.append, failing=False)
    assert news == [fine.account.pk]
    news.clear()
    checking.check_due(news.append, failing=True)
    assert news == [failed.account.pk]


def test_r12_accounts_that_become_due_are_taken_while_a_silent_server_is_waited_for(make_station, settings):
    settings.MAIL_TIMEOUT_SECONDS = 6
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow, busy = make_station(port=silent.getsockname()[1]), make_station()
        Mailbox.objects.create(account=slow.account, name="INBOX", seen_at=timezone.now())
        busy.poll()
        busy.deliver(mail())
        _due(slow)
        AccountHealth.objects.filter(account=busy.account).update(
            next_poll_at=timezone.now() + timedelta(seconds=2)
        )
        assert _check() == [busy.account.pk]


def test_r42_a_worker_that_is_to_stop_waits_for_no_server(make_station, settings, monkeypatch):
    is_to_stop = threading.Event()
    monkeypatch.setattr(draining, "has_begun", is_to_stop.is_set)
    settings.MAIL_TIMEOUT_SECONDS = 10
    with socket.create_server(("127.0.0.1", 0)) as silent:
        station = make_station(port=silent.getsockname()[1])
        Mailbox.objects.create(account=station.account, name="INBOX", seen_at=timezone.now())
        _due(station)
        threading.Timer(0.5, is_to_stop.set).start()
        began = time.monotonic()
        assert checking.check_due(lambda _id: None) == 1
        assert time.monotonic() - began < 8


def test_a_check_goes_on_with_what_its_threads_could_not_take_at_once(make_station, monkeypatch):
    monkeypatch.setattr(checking, "THREADS", 2)
    stations = [make_station() for _ in range(5)]
    for station in stations:
        station.poll()
        station.deliver(mail())
    _due(*stations)
    assert sorted(_check()) == [station.account.pk for station in stations]


def test_a_check_ends_though_more_are_due(make_station, monkeypatch):
    monkeypatch.setattr(checking, "THREADS", 1)
    monkeypatch.setattr(checking, "SLICE_SECONDS", 0.3)
    monkeypatch.setattr(checking, "_ask", lambda _look: bool(time.sleep(0.4)))
    stations = [make_station() for _ in range(3)]
    for station in stations:
        station.poll()
    _due(*stations)
    assert checking.check_due(lambda _id: None) == 2


def test_r12_one_check_at_a_time_waits_for_servers_that_failed(station):
    health.record_failure(station.account.pk, ConnectionTimeout())
    _due(station)
    lease = leases.acquire(checking.FAILING_LEASE, ttl=timedelta(seconds=60))
    news: list[int] = []
    assert (checking.check_failing(news.append), news) == (0, [])
    leases.release(lease)
    assert (checking.check_failing(news.append), news) == (1, [station.account.pk])
    assert leases.acquire(checking.FAILING_LEASE, ttl=timedelta(seconds=60))  # given back


def test_r12_work_left_over_on_a_dead_server_occupies_no_worker(make_station):
    """Neither dead account was ever looked at: each poll of them would wait for its server."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    dead, back = make_station(port=port), make_station()
    for station in (dead, back):
        health.record_failure(station.account.pk, ConnectionTimeout())
    _due(dead, back)
    news: list[int] = []
    assert checking.check_failing(news.append, on_backlog=news.append) == 2
    assert news == [back.account.pk]
    assert AccountHealth.objects.get(account=dead.account).failures == 2


def test_r22_left_over_work_and_further_slices_wait_behind_polls_with_news(make_station, monkeypatch):
    sent: list[tuple[int, str | None]] = []
    monkeypatch.setattr(
        tasks.poll_account, "apply_async", lambda args, queue=None, **_: sent.append((args[0], queue))
    )
    storm, quiet = make_station(), make_station()
    storm.deliver(mail(), mail())
    storm.poll()
    storm.rows().update(state="stored")
    quiet.poll()
    quiet.deliver(mail())
    _due(storm, quiet)
    tasks.check_accounts()
    assert sorted(sent) == [(storm.account.pk, "backlog"), (quiet.account.pk, None)]
    sent.clear()
    monkeypatch.setattr(polling.poll, "__kwdefaults__", {"slice_seconds": 0.0})
    tasks.poll_account(storm.account.pk)
    assert sent == [(storm.account.pk, "backlog")]
    assert AccountHealth.objects.get(account=storm.account).next_poll_at > timezone.now() + timedelta(
        seconds=60
    )  # no check sends another one meanwhile


def test_r22_a_free_worker_takes_what_a_person_waits_for_first_and_backlogs_last():
    names = [queue.name for queue in celery.conf.task_queues]
    routes = celery.conf.task_routes
    assert names.index("celery") < names.index(routes["inbound.check_accounts"]["queue"])
    assert (
        names.index("checks") < names.index(routes["inbound.poll_account"]["queue"]) < names.index("backlog")
    )
