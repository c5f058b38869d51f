"""IDLE (RFC 2177): news is told once, never missed in between, and a hostile server costs nothing."""

import threading
import time

import pytest

from mailkit.errors import ConnectionFailed, ConnectionLost, InvalidArgument, ProtocolViolation
from mailkit.imap import ImapEndpoint, ImapSession, PasswordLogin
from tests.mailkit.imap_sessions import POLICY, open_dovecot, open_stub
from tests.servers import wait_until
from tests.stubs.scripted import ScriptedServer, imap_script, says

MAIL = b"Subject: neu\r\n\r\nText\r\n"


def has_news(session, seconds: float = 5.0) -> bool:
    """Whether news comes within ``seconds``; signs of life in between are passed over."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if session.wait_for_news(max(ends_at - time.monotonic(), 0)):
            return True
    return False


def wait_for_ever(session) -> None:
    while True:
        session.wait_for_news(5)


def idling(before: bytes = b"", after: bytes = b"", done: bytes = b""):
    """An IDLE that says something before and after its ``+`` and before its end."""

    def answer(dialogue, line):
        tag = line.split(b" ")[0]
        dialogue.send(before + b"+ idling\r\n" + after)
        assert dialogue.readline() == b"DONE\r\n"
        return done + tag + b" OK done\r\n"

    return {b"IDLE": answer}


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_mail_that_arrives_and_goes_is_told(dovecot, mailbox, authority, security):
    port = dovecot.tls_port if security == "tls" else dovecot.port
    endpoint = ImapEndpoint("localhost", port, security, POLICY, str(authority.ca_file))
    with ImapSession.open(endpoint, PasswordLogin(mailbox.username, mailbox.password)) as session:
        session.examine("INBOX")
        session.start_idle()
        assert not session.wait_for_news(0.05)
        dovecot.deliver(mailbox, MAIL)
        assert has_news(session)
        with dovecot.rival(mailbox) as rival:
            rival.store("1", "+FLAGS", r"(\Deleted)")
            rival.expunge()
            assert has_news(session)
        session.end_idle()
        assert session.status("INBOX").messages == 0


def test_mail_is_not_touched_by_watching(dovecot, mailbox):
    dovecot.deliver(mailbox, MAIL)
    with open_dovecot(dovecot, mailbox) as session:
        session.examine("INBOX")
        session.start_idle()
        session.wait_for_news(0.05)
        session.end_idle()
    assert dovecot.flags(mailbox) == {1: frozenset()}


@pytest.mark.parametrize("place", ["before", "after", "done"])
def test_news_is_missed_at_no_moment(place):
    with ScriptedServer(imap_script(idling(**{place: b"* 3 exists\r\n"}))) as server:
        session = open_stub(server)
        session.examine("INBOX")
        session.start_idle()
        if place == "done":
            session.end_idle()
            session.start_idle()
        assert session.wait_for_news(5)
        session.end_idle()
        session.logout()


def test_signs_of_life_and_flags_are_no_news():
    chatter = b"* OK Still here\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 12 FLAGS EXISTS\r\n"
    with ScriptedServer(imap_script(idling(after=chatter))) as server, open_stub(server) as session:
        session.examine("INBOX")
        session.start_idle()
        assert not has_news(session, 0.3)
        session.end_idle()
        session.noop()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"x" * 65_536, ProtocolViolation),
        (b"* OK still here\r\n" * 400_000, ProtocolViolation),
        (b"* 1 EXISTS {5}\r\n", ProtocolViolation),
        (b"A7 OK whatever\r\n", ProtocolViolation),
        (b"* BYE shutting down\r\n", ConnectionLost),
    ],
    ids=["endless-line", "flood", "literal", "foreign-tag", "bye"],
)
def test_b85_nonsense_while_idling_ends_the_session(said, error):
    answer = says(b"+ idling\r\n" + said)
    with ScriptedServer(imap_script({b"IDLE": answer})) as server, open_stub(server) as session:
        session.examine("INBOX")
        session.start_idle()
        with pytest.raises(error):
            wait_for_ever(session)
        with pytest.raises(ConnectionLost):
            session.noop()


@pytest.mark.parametrize("said", [b"{tag} BAD what?\r\n", b"{tag} NO not now\r\n"])
def test_a_refused_idle_is_an_error_of_ours(said):
    with ScriptedServer(imap_script({b"IDLE": said})) as server, open_stub(server) as session:
        session.examine("INBOX")
        with pytest.raises(ConnectionFailed):
            session.start_idle()


def test_an_interrupt_ends_a_wait_at_once(dovecot, mailbox, authority):
    endpoint = ImapEndpoint("localhost", dovecot.tls_port, "tls", POLICY, str(authority.ca_file))
    session = ImapSession.open(endpoint, PasswordLogin(mailbox.username, mailbox.password))
    session.examine("INBOX")
    session.start_idle()
    lost = threading.Event()

    def wait() -> None:
        with pytest.raises(ConnectionFailed):
            session.wait_for_news(60)
        lost.set()

    thread = threading.Thread(target=wait)
    thread.start()
    session.interrupt()
    wait_until(lost.is_set, "the wait ends", 2)
    thread.join()
    session.logout()


def test_idle_has_its_order():
    with ScriptedServer(imap_script(idling())) as server, open_stub(server) as session:
        with pytest.raises(InvalidArgument):
            session.wait_for_news(1)
        session.start_idle()
        with pytest.raises(InvalidArgument):
            session.start_idle()
        session.end_idle()
