"""The faults of an import, each for one round: a worker polls, and something happens to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from django.db import connection
from django.utils import timezone
from redis import Redis

from archive.models import RawMail
from inbound.models import IncomingMessage, Mailbox
from jobs import leases
from mailaccounts.models import AccountHealth, ImapSettings
from soak import database, hostile
from soak.broker import check, work_off
from soak.scene import Scene
from soak.worker import Worker
from tests.server_proxy import Cut, CuttingProxy


def nothing(scene: Scene) -> None:
    """A poll without a fault."""
    scene.end(scene.worker())


def kill_at_a_step(scene: Scene) -> None:
    """R1 to R3: kill -9 at one of the steps of an import."""
    if worker := scene.stopped_worker():
        worker.kill()


def kill_at_random(scene: Scene) -> None:
    """R4: kill -9 at any moment."""
    worker = scene.worker()
    time.sleep(scene.chance.uniform(0, 0.15))
    worker.kill()


def cut_after_bytes(scene: Scene) -> None:
    """R11: the connection breaks anywhere in what the server or we say."""
    is_from_server = scene.chance.random() < 0.7
    after = scene.chance.randint(50, 20_000 if is_from_server else 800)
    _poll_through(scene, Cut(after=after, from_server=is_from_server, times=1))


def cut_at_a_word(scene: Scene) -> None:
    """R3, R11: the connection breaks before or after a command of ours, or at the server's answer."""
    word, is_from_server = scene.chance.choice(
        (
            (rb"EXAMINE", False), (rb"UID SEARCH", False), (rb"UID FETCH", False), (rb"UID STORE", False),
            (rb"UID EXPUNGE", False), (rb"\r\n\w+ EXPUNGE", False), (rb"BODY\[\] \{\d+\}\r\n.{100}", True),
            (rb"OK Expunge", True), (rb"OK Store", True), (rb"LOGIN", False), (rb"OK .{0,40}Logged in", True),
        )
    )  # fmt: skip
    includes = scene.chance.random() < 0.5
    _poll_through(scene, Cut(pattern=word, from_server=is_from_server, includes_match=includes, times=1))


def silence(scene: Scene) -> None:
    """R12: the server says no more, and the connection stays."""
    after = scene.chance.randint(1, 5_000)
    _poll_through(scene, Cut(after=after, is_silent=True, times=1), timeout=0.5)


def _poll_through(scene: Scene, cut: Cut, timeout: float = 10.0) -> None:
    scene.note(str(cut))
    scene.proxy.cut = cut
    scene.end(scene.worker(timeout=timeout))


def colleague_at_work(scene: Scene) -> None:
    """R16, R17: others read, flag, move and remove while a poll stands still."""
    worker = scene.stopped_worker()
    for _ in range(scene.chance.randint(1, 3)):
        scene.note(scene.mailbox.work_as_colleague(scene.chance))
    if worker:
        worker.resume()
        scene.end(worker)


def renumbering(scene: Scene) -> None:
    """R13, R14: UIDVALIDITY changes between polls or during one."""
    worker = scene.stopped_worker() if scene.chance.random() < 0.5 else None
    folder = scene.chance.choice(scene.mailbox.folders)
    scene.note(f"renumbering {folder}")
    scene.mailbox.renumber(folder)
    if worker:
        worker.resume()
        scene.end(worker)


def overslept(scene: Scene) -> None:
    """R10: a worker is stopped for longer than its lease; another polls meanwhile; then it goes on."""
    if worker := scene.stopped_worker(between_transactions=True):
        scene.expire_lease()
        scene.end(scene.worker())
        worker.resume()
        scene.end(worker)


def two_at_once(scene: Scene) -> None:
    """R9: two workers poll the account at the same time."""
    workers = [scene.worker(), scene.worker()]
    for worker in workers:
        scene.end(worker)


def settings_saved(scene: Scene) -> None:
    """R39: saving settings fences the running poll off."""
    if worker := scene.stopped_worker(between_transactions=True):
        leases.revoke([scene.account.lease_name])
        worker.resume()
        scene.end(worker)


def bytes_rot(scene: Scene) -> None:
    """I2: stored bytes are damaged before the deletion; the server's copy must stay until they are whole."""
    worker = scene.stopped_worker(between_transactions=True)
    raws = RawMail.objects.filter(
        incoming__account=scene.account,
        incoming__server_copy=IncomingMessage.ServerCopy.KEPT,
        incoming__state=IncomingMessage.State.IMPORTED,
    )
    raw = raws.first()
    if raw:
        RawMail.objects.filter(pk=raw.pk).update(content=b"rotten")
        scene.note(f"raw mail {raw.pk} is damaged")
    if worker:
        worker.resume()
        scene.end(worker)
    if raw:
        if bytes(raw.sha256) not in {copy.digest for copy in scene.mailbox.read()}:
            scene.findings.append(f"raw mail {raw.pk} was damaged, and its copy on the server deleted")
        RawMail.objects.filter(pk=raw.pk).update(content=raw.content)
        scene.end(scene.worker())  # without news no check would wake a poll to make up for it


def database_connections_cut(scene: Scene) -> None:
    """R5: the database ends the worker's connection."""
    if connection.vendor != "postgresql":
        return
    if worker := scene.stopped_worker():
        database.terminate_others()
        worker.resume()
        scene.end(worker, may_lose_database=True)


def commit_reply_lost(scene: Scene) -> None:
    """R5: the database commits, and its reply is lost."""
    if connection.vendor != "postgresql":
        return
    number = scene.chance.randint(1, 8)
    scene.note(f"reply to COMMIT {number}")
    with CuttingProxy(int(connection.settings_dict["PORT"])) as proxy:
        proxy.cut = Cut(pattern=rb"\A(?>.*?COMMIT){%d}" % number, from_server=False, times=1)
        scene.end(scene.worker(database_port=proxy.port), may_lose_database=True)


def database_stopped(scene: Scene) -> None:
    """R5: the database stops at once, as in a crash, and comes back."""
    if not scene.services.owns_database:
        return
    worker = scene.stopped_worker()
    database.crash()
    if worker:
        worker.resume()
        scene.end(worker, may_lose_database=True)


def broker_flushed(scene: Scene) -> None:
    """R6: what a check has woken is lost with the broker."""
    AccountHealth.objects.filter(account=scene.account).update(next_poll_at=timezone.now())
    scene.end(Worker(check, scene.circumstances))
    with Redis.from_url(scene.services.broker_url) as broker:
        scene.note(f"{len(broker.keys())} keys flushed")
        broker.flushall()
    scene.end(Worker(work_off, scene.circumstances))


def hostile_server(scene: Scene) -> None:
    """B85 to B90: for one poll the account's server is one that means harm."""
    known = Mailbox.objects.filter(account=scene.account).first()
    name, server = hostile.choose(scene.chance, known.uid_validity if known else 1)
    scene.note(name)
    with server:
        _move_account(scene, server.port)
        scene.end(scene.worker(timeout=0.5))
        _move_account(scene, scene.proxy.port)


def _move_account(scene: Scene, port: int) -> None:
    ImapSettings.objects.filter(account=scene.account).update(port=port)


FAULTS: Final[dict[Callable[[Scene], None], int]] = {
    nothing: 4, kill_at_a_step: 20, kill_at_random: 10, cut_after_bytes: 8, cut_at_a_word: 10, silence: 2,
    colleague_at_work: 10, renumbering: 4, overslept: 8, two_at_once: 4, settings_saved: 4,
    database_connections_cut: 6, commit_reply_lost: 6, database_stopped: 1, broker_flushed: 3,
    hostile_server: 4, bytes_rot: 3,
}  # fmt: skip
