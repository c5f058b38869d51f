"""Servers that mean harm are bounded in memory and time."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mailkit import imap_dialogue
from mailkit.errors import (
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    InvalidArgument,
    ProtocolViolation,
)
from mailkit.imap_transport import BoundedStream, ResponseLimits
from tests.mailkit.imap_sessions import open_stub
from tests.stubs.scripted import ScriptedServer, imap_script, says


def endless(piece: bytes):
    """Return an answer that repeats ``piece`` for as long as the client reads."""

    def answer(dialogue, line):
        while True:
            dialogue.send(piece)

    return answer


def fetch_one(session, size: int = 1000):
    session.examine("INBOX")
    return list(session.fetch_raw([1], {1: size}))


@pytest.mark.parametrize(
    "announced",
    [b"{9999999999}", b"{-1}", b"{+5}", b"{300000}", b"{5+}", b"{99999999999999999999}", b"{67108865}"],
)
def test_b85_t15_an_impossible_literal_is_refused_before_a_byte_of_it(announced: bytes):
    answer = says(b"* 1 FETCH (UID 1 BODY[] " + announced + b"\r\n")
    with ScriptedServer(imap_script({b"UID FETCH": answer})) as server, open_stub(server) as session:
        with pytest.raises(ProtocolViolation):
            fetch_one(session)
        with pytest.raises(ConnectionLost):
            session.noop()


def test_t15_a_literal_may_exceed_the_announced_size_a_little_and_no_more():
    def with_literal(size: int) -> dict:
        return {
            b"UID FETCH": b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\n{tag} OK done\r\n" % (size, b"x" * size)
        }

    with ScriptedServer(imap_script(with_literal(1400))) as server, open_stub(server) as session:
        assert fetch_one(session)[0].size == 1400
    with (
        ScriptedServer(imap_script(with_literal(400_000))) as server,
        open_stub(server) as session,
        pytest.raises(ProtocolViolation),
    ):
        fetch_one(session)


def test_t15_one_mail_may_not_use_the_room_of_another():
    answer = b"* 1 FETCH (UID 1 BODY[] {500000}\r\n" + b"x" * 500_000 + b")\r\n{tag} OK done\r\n"
    with ScriptedServer(imap_script({b"UID FETCH": answer})) as server, open_stub(server) as session:
        session.examine("INBOX")
        with pytest.raises(ProtocolViolation):
            list(session.fetch_raw([1, 2], {1: 100, 2: 600_000}))
        with pytest.raises(ConnectionLost):
            session.noop()


FLOODS = {
    "endless-line": b"x" * 65_536,
    "endless-untagged": b"* OK still here\r\n" * 4096,
    "endless-fetches": b"* 9 FETCH (UID 9 BODY[] {1000}\r\n" + b"x" * 1000 + b")\r\n",
    "endless-flags": b"* 1 FETCH (FLAGS (\\Seen))\r\n" * 2048,
    "endless-bad-nesting": b"* 1 FETCH " + b"(" * 500_000 + b"\r\n",
}
FLOOD_PROBE = """
import resource, sys
from tests.mailkit.imap_sessions import open_stub
from tests.mailkit.test_imap_hostile import FLOODS, endless, fetch_one
from tests.stubs.scripted import ScriptedServer, imap_script
from mailkit.errors import ProtocolViolation
flood = endless(FLOODS[sys.argv[1]])
commands = dict.fromkeys((b"UID FETCH", b"UID SEARCH", b"LIST", b"NOOP", b"STATUS"), flood)
asks = (
    fetch_one,
    lambda s: s.uids_from(1),
    lambda s: s.list_folders(),
    lambda s: s.noop(),
    lambda s: s.status("a"),
)
with ScriptedServer(imap_script(commands)) as server:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for ask in asks:
        with open_stub(server) as session:
            if ask is asks[1]:
                session.examine("INBOX")
            try:
                ask(session)
                sys.exit("accepted")
            except ProtocolViolation:
                pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("flood", FLOODS)
def test_b85_a_flood_costs_at_most_64_mb(flood: str):
    root = Path(__file__).parents[2]
    probe = subprocess.run(
        [sys.executable, "-c", FLOOD_PROBE, flood],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=root,
        check=False,
    )
    assert probe.returncode == 0, probe.stderr
    assert int(probe.stdout) < 64 * 1024


def test_b85_a_large_search_answer_is_no_flood():
    uids = b" ".join(b"%d" % uid for uid in range(1_000_000, 1_300_000))
    answers = {b"UID SEARCH": b"* SEARCH " + uids + b"\r\n{tag} OK done\r\n"}
    with ScriptedServer(imap_script(answers)) as server, open_stub(server) as session:
        session.examine("INBOX")
        assert len(session.uids_from(1)) == 300_000


def test_r12_a_silent_server_is_given_up_after_the_timeout():
    with (
        ScriptedServer(imap_script({b"NOOP": says(b"")})) as server,
        open_stub(server, timeout=0.3) as session,
    ):
        began = time.monotonic()
        with pytest.raises(ConnectionTimeout):
            session.noop()
        assert time.monotonic() - began < 3


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
def test_r12_a_server_that_never_greets_is_given_up(security: str):
    with ScriptedServer(lambda dialogue: dialogue.wait_for_end()) as server, pytest.raises(ConnectionTimeout):
        open_stub(server, timeout=0.3, security=security)


def test_r12_a_dripping_server_is_given_up_at_the_deadline():
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def drip() -> None:
        while not stop.is_set():
            theirs.sendall(b"*")
            stop.wait(0.02)

    thread = threading.Thread(target=drip)
    thread.start()
    stream = BoundedStream(ours, 5.0)
    stream.begin(ResponseLimits(seconds=0.4))
    began = time.monotonic()
    with pytest.raises(ConnectionTimeout):
        stream.readline()
    assert 0.3 < time.monotonic() - began < 2
    stop.set()
    thread.join()
    stream.close()
    theirs.close()


def test_r12_every_command_ends_within_a_minute():
    assert ResponseLimits().seconds < 60
    assert imap_dialogue._OPENING_SECONDS + 15 <= 60


def test_r12_time_for_a_large_mail_is_earned_by_bytes_only():
    ours, theirs = socket.socketpair()
    stream = BoundedStream(ours, 5.0)
    stream.begin(ResponseLimits(seconds=10, literal=100, total=1000, bytes_per_second=10))
    theirs.sendall(b"x" * 20)
    assert stream.read(20) == b"x" * 20
    stream._raw._started_at -= 11  # ten seconds granted, two earned by twenty bytes
    theirs.sendall(b"y" * 5)
    assert stream.read(5) == b"y" * 5
    stream._raw._started_at -= 2
    theirs.sendall(b"z" * 5)
    with pytest.raises(ConnectionTimeout):
        stream.read(5)
    stream.close()
    theirs.close()


@pytest.mark.parametrize("command", [b"A1 NOOP\r\nA2 EXPUNGE\r\n", b"A1 LOGIN a\0b\r\n", b"A1 X\nY\r\n"])
def test_t16_the_wire_itself_takes_one_command_at_a_time(command: bytes):
    ours, theirs = socket.socketpair()
    stream = BoundedStream(ours, 5.0)
    with pytest.raises(InvalidArgument):
        stream.send(command)
    stream.send(b"A1 APPEND x {%d}\r\n" % len(command))
    stream.send(command)
    assert theirs.recv(1000) == b"A1 APPEND x {%d}\r\n" % len(command) + command
    with pytest.raises(InvalidArgument):
        stream.send(command)
    stream.close()
    theirs.close()


def test_r11_a_literal_without_its_end_is_not_handed_out():
    ours, theirs = socket.socketpair()
    stream = BoundedStream(ours, 5.0)
    theirs.sendall(b"halb")
    theirs.close()
    with pytest.raises(ConnectionLost):
        stream.read(8)
    stream.close()


def test_logout_never_raises_and_does_not_wait_long():
    with ScriptedServer(imap_script({b"LOGOUT": says(b"garbage\r\n")})) as server:
        open_stub(server).logout()
    with ScriptedServer(imap_script({b"LOGOUT": says(b"")})) as server:
        session = open_stub(server, timeout=0.3)
        session.logout()
        session.logout()


@pytest.mark.parametrize(
    "garbage",
    [
        b"* 1 FETCH (UID\r\n{tag} OK done\r\n",
        b"* 1 FETCH ((((\r\n{tag} OK done\r\n",
        b"* x FETCH\r\n{tag} OK done\r\n",
        b'* 1 FETCH (UID 1 BODY[] "a)\r\n{tag} OK done\r\n',
        b"* 1 FETCH (UID 1 BODY)\r\n{tag} OK done\r\n",
        b"A999 OK other tag\r\n",
        b"{tag} MAYBE\r\n* BYE x\r\n",
        b"+ go on\r\n* BYE\r\n",
        b"\r\n",
        b"\xff\xfe\r\n",
        b"hello\n",
    ],
)
def test_garbage_becomes_one_of_our_errors_or_nothing(garbage: bytes):
    with (
        ScriptedServer(imap_script({b"UID FETCH": garbage})) as server,
        open_stub(server, timeout=0.5) as session,
        contextlib.suppress(ConnectionFailed),
    ):
        assert fetch_one(session) == []
