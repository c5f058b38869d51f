"""Push: mail becomes a ticket at once, and whatever a server does harms neither others nor the end."""

import contextlib
import itertools
import queue as queues
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from inbound import watching
from inbound.watching import Bell, Watcher
from mailaccounts import credentials, health
from mailaccounts.models import MailAccount
from mailkit.errors import AuthenticationFailed
from tests.inbound.conftest import mail
from tests.server_basics import stop
from tests.servers import CuttingProxy, Dovecot, free_port, wait_until
from tests.stubs.scripted import ScriptedServer, imap_script, says

pytestmark = pytest.mark.django_db(transaction=True)

CAPABLE = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1 IDLE\r\n{tag} OK done\r\n"}


class Watched:
    """A running watcher; ``news`` holds the accounts it told of."""

    def __init__(self) -> None:
        self.news: queues.Queue[int] = queues.Queue()
        self.watcher = Watcher(self.news.put)
        self._thread = threading.Thread(target=self.watcher.run)

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> float:
        """Stop; return the seconds it took."""
        began = time.monotonic()
        self.watcher.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def wait_for(self, *stations) -> None:
        """Return once news of every station was told, whatever else was."""
        missing = {station.account.pk for station in stations}
        while missing:
            missing.discard(self.news.get(timeout=15))

    def rests(self, station) -> bool:
        watch = self.watcher._watches.get(station.account.pk)
        return watch is not None and watch.rests


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Times in which a person would lose patience, in fractions of a second."""
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watching, "FIRST_BACKOFF_SECONDS", 0.1)
    monkeypatch.setattr(watching, "PACE_SECONDS", 0.0)


@pytest.fixture
def watched():
    with Watched() as running:
        yield running


def logins(proxy: CuttingProxy) -> int:
    return sum(b"LOGIN" in said or b"AUTHENTICATE" in said for said in proxy.from_client)


def test_p6_mail_becomes_a_ticket_without_waiting_for_the_interval(make_station):
    station = make_station(poll_seconds=3600)
    with Watched() as watched:
        watched.wait_for(station)  # connected
        station.poll()
        began = time.monotonic()
        station.deliver(mail("Eilt"))
        watched.wait_for(station)
        station.poll()
        assert time.monotonic() - began < 2
    assert [ticket.subject for ticket in station.tickets()] == ["Eilt"]


def test_an_idle_is_renewed_and_goes_on_telling(make_station, imap_proxy, settings):
    settings.MAIL_IDLE_SECONDS = 0.2
    station = make_station(port=imap_proxy.port)
    with Watched() as watched:
        wait_until(lambda: imap_proxy.from_client and b"W3 IDLE" in imap_proxy.from_client[0], "renewals")
        watched.wait_for(station)
        station.deliver(mail())
        watched.wait_for(station)
        assert logins(imap_proxy) == 1


def test_a_server_that_restarts_is_watched_again(make_station, imap_proxy):
    station = make_station(port=imap_proxy.port)
    with Watched() as watched:
        watched.wait_for(station)
        for sock in list(imap_proxy._open):
            with contextlib.suppress(OSError):
                sock.shutdown(2)
        # Told again on connecting: what came meanwhile was told by nobody.
        watched.wait_for(station)
        station.deliver(mail())
        watched.wait_for(station)
    assert logins(imap_proxy) == 2


def test_a_dovecot_that_restarts_is_watched_again(make_station, server_certificate):
    with Dovecot(server_certificate) as server:
        station = make_station(server=server)
        with Watched() as watched:
            watched.wait_for(station)
            stop(server._process)
            server._process = subprocess.Popen([server._program, "-F", "-c", server.root / "dovecot.conf"])
            watched.wait_for(station)
            station.deliver(mail())
            watched.wait_for(station)


def test_a_server_without_idle_is_left_to_polling(make_station, bare_dovecot, watched):
    station = make_station(server=bare_dovecot)
    wait_until(lambda: watched.rests(station), "the watch rests")
    assert watched.news.empty()


def test_r32_a_refused_login_is_not_tried_again_until_the_settings_change(make_station, imap_proxy, watched):
    station = make_station(port=imap_proxy.port)
    good = station.account.imap.password_encrypted
    station.account.imap.password_encrypted = credentials.encrypt(
        "falsch", purpose=credentials.IMAP_PASSWORD, row_uuid=station.account.imap.uuid
    )
    station.account.imap.save()
    wait_until(lambda: watched.rests(station), "the watch rests")
    tried = logins(imap_proxy)
    threading.Event().wait(0.5)
    assert logins(imap_proxy) == tried
    station.account.imap.password_encrypted = good
    station.account.imap.password_changed_at = timezone.now()
    station.account.imap.save()
    watched.wait_for(station)


def test_accounts_on_hold_retired_or_paused_are_let_go(make_station, watched):
    stations = held, retired, paused = make_station(), make_station(), make_station()
    watched.wait_for(*stations)
    MailAccount.objects.filter(pk=held.account.pk).update(on_hold_since=timezone.now())
    MailAccount.objects.filter(pk=retired.account.pk).update(retired_at=timezone.now())
    for _ in range(health.LOGIN_ATTEMPTS):
        health.record_failure(paused.account.pk, AuthenticationFailed("no"))
    wait_until(lambda: not watched.watcher._watches, "nothing is watched")
    health.resume(paused.account)
    wait_until(lambda: list(watched.watcher._watches) == [paused.account.pk], "watched again")


def test_an_account_let_go_is_disconnected_and_its_thread_ends(make_station, imap_proxy, watched):
    station = make_station(port=imap_proxy.port)
    watched.wait_for(station)
    MailAccount.objects.filter(pk=station.account.pk).update(on_hold_since=timezone.now())
    name = f"watch-{station.account.pk}"
    wait_until(lambda: name not in {thread.name for thread in threading.enumerate()}, "its thread ends")
    assert watched.news.empty()


def test_stopping_ends_a_watch_that_waits_to_connect_again(make_station, monkeypatch, caplog):
    monkeypatch.setattr(watching, "FIRST_BACKOFF_SECONDS", 60.0)
    caplog.set_level("INFO", "inbound.watching")
    station = make_station(port=free_port())
    with Watched() as watched:
        wait_until(lambda: "will connect again" in caplog.text, "the first failure")
        assert watched.stop() < 2
        assert f"watch-{station.account.pk}" not in {thread.name for thread in threading.enumerate()}


def test_a_watch_that_broke_off_for_an_unknown_reason_is_begun_again(make_station, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    station = make_station()
    told: queues.Queue[int] = queues.Queue()

    def on_news(account_id: int) -> None:
        told.put(account_id)
        if told.qsize() == 1:
            raise RuntimeError("nobody thought of this")

    watcher = Watcher(on_news)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    wait_until(lambda: told.qsize() >= 2, "told again by another thread")
    watcher.stop()
    thread.join(10)
    assert set(told.queue) == {station.account.pk}


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_without_its_database_it_goes_on_watching(make_station, monkeypatch, error):
    station, late = make_station(), make_station()
    MailAccount.objects.filter(pk=late.account.pk).update(on_hold_since=timezone.now())
    with Watched() as watched:
        watched.wait_for(station)
        asked = threading.Semaphore(0)
        real = watched.watcher._targets

        def fail():
            asked.release()
            raise error("the connection is closed")

        monkeypatch.setattr(watched.watcher, "_targets", fail)
        assert asked.acquire(timeout=10)
        assert asked.acquire(timeout=10)
        station.deliver(mail())
        watched.wait_for(station)
        monkeypatch.setattr(watched.watcher, "_targets", real)
        MailAccount.objects.filter(pk=late.account.pk).update(on_hold_since=None)
        watched.wait_for(late)


def test_a_copy_watches_nothing(make_station, monkeypatch):
    make_station()
    monkeypatch.setattr("jobs.instance.is_original", lambda: False)
    assert Watcher(print)._targets() == {}


def test_accounts_beyond_the_bound_are_left_to_polling_and_the_log_says_so(make_station, monkeypatch, caplog):
    monkeypatch.setattr(watching, "ACCOUNTS", 1)
    first, _second = make_station(), make_station()
    assert list(Watcher(print)._targets()) == [first.account.pk]
    assert "1 accounts beyond the first 1" in caplog.text


@pytest.mark.parametrize("said", [b"* 1 EXISTS" * 100_000, b"* OK \xff\xfe\r\nnonsense\r\n", b"* BYE\r\n"])
def test_b85_a_hostile_server_is_dropped_and_the_others_go_on(make_station, said):
    hostile = imap_script(CAPABLE | {b"IDLE": says(b"+ idling\r\n" + said)})
    with ScriptedServer(hostile) as server, Watched() as watched:
        make_station(port=server.port)
        station = make_station()
        watched.wait_for(station)
        wait_until(lambda: len(server.dialogues) >= 2, "dropped and tried again")
        station.deliver(mail())
        watched.wait_for(station)


def test_stopping_takes_no_two_seconds_whatever_servers_do(make_station):
    silent = imap_script(CAPABLE | {b"LOGIN": lambda dialogue, _line: dialogue.hold()})
    deaf = imap_script(CAPABLE | {b"IDLE": says(b"+ idling\r\n")})
    with ScriptedServer(silent) as mute, ScriptedServer(deaf) as idle, Watched() as watched:
        make_station(port=mute.port)
        quiet, fine = make_station(port=idle.port), make_station()
        watched.wait_for(quiet, fine)
        wait_until(lambda: b"LOGIN" in mute.received, "a login hangs")
        assert watched.stop() < 2
        left = {thread.name for thread in threading.enumerate()}
        assert not left & {f"watch-{station.account.pk}" for station in (quiet, fine)}


def test_nothing_but_a_heartbeat_is_written_and_threads_use_no_database(make_station, monkeypatch):
    station = make_station()
    said: list[tuple[str, str]] = []
    execute = CursorWrapper.execute

    def note(cursor, sql, params=None):
        said.append((threading.current_thread().name, sql))
        return execute(cursor, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", note)
    with Watched() as watched:
        watched.wait_for(station)
        station.deliver(mail())
        watched.wait_for(station)
    monkeypatch.undo()
    assert not [name for name, _ in said if name.startswith("watch-")]
    written = {sql for _, sql in said if sql.startswith(("INSERT", "UPDATE", "DELETE"))}
    assert written
    assert all("jobs_heartbeat" in sql for sql in written)


def test_no_idle_outlasts_what_the_rfc_advises(settings):
    settings.MAIL_IDLE_SECONDS = 3_600
    assert watching.idle_seconds() == 29 * 60


def test_the_bell_rings_at_once_then_at_its_pace_and_twice_more(monkeypatch):
    monkeypatch.setattr(watching, "PACE_SECONDS", 0.5)
    bell = Bell()
    assert not bell.rings(100.0)
    bell.press(100.0)
    assert bell.rings(100.0)
    for moment in (100.1, 100.2, 100.4):
        bell.press(moment)
        assert not bell.rings(moment)
    assert (bell.due_at(), bell.rings(100.5)) == (100.5, True)
    assert (bell.due_at(), bell.rings(102.4)) == (102.4, True)
    assert not bell.rings(130.3)
    assert (bell.rings(130.4), bell.due_at()) == (True, float("inf"))


def test_no_two_rings_are_closer_than_the_pace_however_news_comes(monkeypatch):
    monkeypatch.setattr(watching, "PACE_SECONDS", 0.5)
    bell, rang = Bell(), []
    for tick in range(4_000):
        now = tick / 100
        if tick % 7 == 0 and tick < 1_000:
            bell.press(now)
        if bell.rings(now):
            rang.append(now)
    assert min(later - earlier for earlier, later in itertools.pairwise(rang)) >= 0.5
    assert len(rang) > 18


def test_backoff_grows_from_seconds_to_five_minutes(monkeypatch):
    monkeypatch.setattr(watching, "FIRST_BACKOFF_SECONDS", 5.0)
    assert all(2.5 <= watching.backoff_seconds(1) <= 5 for _ in range(50))
    assert all(150 <= watching.backoff_seconds(99) <= 300 for _ in range(50))
    assert len({watching.backoff_seconds(3) for _ in range(50)}) > 10


def test_the_command_says_that_it_needs_a_broker(settings):
    settings.CELERY_BROKER_URL = "memory://"
    with pytest.raises(CommandError, match="CELERY_BROKER_URL"):
        call_command("watch_mailboxes")


def test_the_command_ends_at_sigterm(tmp_path):
    environment = {
        "ENV_FILE": "/nonexistent",
        "SECRET_KEY": "s" * 60,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}",
        "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "watch_mailboxes"],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert "Watching" in process.stdout.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert time.monotonic() - began < 2
    finally:
        process.kill()
        process.stdout.close()
