"""The demo's mail server behaves like a real one where the product looks."""

from __future__ import annotations

import os
import socket

import pytest

from cockpit.demo.certificates import ensure_certificates
from cockpit.demo.mailboxes import DemoMailboxes
from cockpit.demo.mailserver import DemoMailServer
from mailkit.endpoint import Endpoint, PasswordLogin
from mailkit.errors import AuthenticationFailed, PermanentDeliveryError
from mailkit.imap import ImapSession
from mailkit.network import NetworkPolicy
from mailkit.smtp import SmtpEndpoint, SmtpSession
from scripts.demo import keys

SERVICE, CUSTOMER = "service@brandis.example", "kunde@kunde.example"
RAW = b"From: service@brandis.example\r\nSubject: Hallo\r\nMessage-ID: <a@brandis.example>\r\n\r\nText\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    ensure_certificates(folder)
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        imap_port, smtp_port = one.getsockname()[1], other.getsockname()[1]
    passwords = {SERVICE: "geheim", CUSTOMER: "auch geheim"}
    with DemoMailServer(folder, imap_port=imap_port, smtp_port=smtp_port, passwords=passwords) as running:
        yield running


def policy(server) -> NetworkPolicy:
    return NetworkPolicy.from_strings(["loopback"], ports=[server.imap_port, server.smtp_port])


def smtp(server, password="geheim"):
    endpoint = SmtpEndpoint(
        "localhost", server.smtp_port, "starttls", policy(server), ca_file=str(server.folder / "ca.pem"),
        ehlo_name="brandis.example",
    )  # fmt: skip
    return SmtpSession.open(endpoint, PasswordLogin(SERVICE, password))


def imap(server, address=CUSTOMER, password="auch geheim"):
    endpoint = Endpoint(
        "localhost", server.imap_port, "starttls", policy(server), ca_file=str(server.folder / "ca.pem")
    )
    return ImapSession.open(endpoint, PasswordLogin(address, password))


def send(server, recipient, sender=SERVICE):
    with smtp(server) as session:
        return session.send(sender, [recipient], RAW, before_dot=lambda: None)


def test_t20_the_demo_keeps_its_secrets_to_its_user(tmp_path):
    before = os.umask(0)
    try:
        keys(tmp_path / "keys.json")
        ensure_certificates(tmp_path)
        DemoMailboxes(tmp_path / "mail").create({SERVICE: "geheim"})
    finally:
        os.umask(before)
    secret = ["keys.json", "server.key", "mail", "mail/pymap-etc-passwd", "mail/pymap-etc-shadow"]
    assert {name: (tmp_path / name).stat().st_mode & 0o077 for name in secret} == dict.fromkeys(secret, 0)


def test_what_smtp_takes_imap_shows_with_its_trace(server):
    assert send(server, CUSTOMER, sender="").reply_code == 250
    with imap(server) as session:
        session.examine("INBOX")
        (uid,) = session.uids_from(1)
        sizes = {one.uid: one.size for one in session.fetch_metadata([uid])}
        (message,) = session.fetch_raw([uid], sizes)
    lines = message.content.replace(b"\r\n", b"\n")  # pymap hands out bare line feeds
    assert b"Delivered-To: kunde@kunde.example\n" in lines
    assert b"Return-Path: <>\n" in lines
    assert lines.endswith(RAW.replace(b"\r\n", b"\n"))


def test_unknown_recipients_are_refused(server):
    with pytest.raises(PermanentDeliveryError):
        send(server, "niemand@kunde.example")


def test_a_wrong_password_is_refused_by_both(server):
    with pytest.raises(AuthenticationFailed), smtp(server, "falsch"):
        pass
    with pytest.raises(AuthenticationFailed), imap(server, password="falsch"):
        pass
