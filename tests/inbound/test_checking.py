"""The regular look at all accounts: threads without a database, news only, nobody delayed."""

import socket
import threading

import pytest
from django.db import connections
from django.utils import timezone

from inbound import checking, tasks
from inbound.models import Mailbox
from mailaccounts.models import AccountHealth
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
    looks = [checking._prepare(account) for account in checking._claim()]
    with django_assert_num_queries(0):
        results = list(checking._ask_all(looks))
    assert [result for _, result in results] == [False] * 5


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
    monkeypatch.setattr(checking, "check_due", lambda _news: pytest.fail("a copy must stay quiet"))
    tasks.check_accounts()


@pytest.mark.django_db(transaction=True)
def test_a_poll_in_a_thread_closes_nothing_it_does_not_own(make_station):
    station = make_station()
    station.deliver(mail())
    done: list[str] = []

    def work():
        try:
            done.append(checking.discovery.__name__)
            tasks.poll_account(station.account.pk)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert station.states() == ["imported"]
