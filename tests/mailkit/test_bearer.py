"""Signing in by access token on IMAP and SMTP: RFC 7628 and XOAUTH2, once, and only inside TLS."""

import logging
from base64 import b64decode, b64encode

import pytest

from mailkit.bearer import BearerLogin
from mailkit.errors import AuthenticationFailed, HostNotAllowed, InvalidArgument
from mailkit.imap import ImapSession
from mailkit.smtp import SmtpSession
from tests.mailkit.imap_sessions import stub_endpoint
from tests.mailkit.smtp_sessions import smtp_endpoint
from tests.stubs.scripted import ScriptedServer, imap_script, smtp_script

TOKEN = "ya29.Kanari-Token_4711~x/y+z="
LOGIN = BearerLogin("anna@firma.example", TOKEN)
REASON = b64encode(b'{"status":"401","schemes":"Bearer","scope":"https://mail.google.com/"}')
DISMISSALS = {"OAUTHBEARER": b"AQ==\r\n", "XOAUTH2": b"\r\n"}
SECRETS = (TOKEN.encode(), b64encode(TOKEN.encode())[:-4], b"AUTH=Bearer")


def said(mechanism: str, port: int) -> bytes:
    """The initial response as the specifications write it."""
    if mechanism == "XOAUTH2":
        return f"user=anna@firma.example\x01auth=Bearer {TOKEN}\x01\x01".encode()
    return f"n,a=anna@firma.example,\x01host=localhost\x01port={port}\x01auth=Bearer {TOKEN}\x01\x01".encode()


def imap_server(certificate, offered: str, authenticate):
    capability = f"* CAPABILITY IMAP4rev1 {offered}\r\n{{tag}} OK done\r\n".encode()
    answers = {b"CAPABILITY": capability, b"AUTHENTICATE": authenticate}
    return ScriptedServer(imap_script(answers), certificate=certificate)


def smtp_server(certificate, mechanisms: str, auth):
    ehlo = f"250-stub.example\r\n250 AUTH {mechanisms}\r\n".encode()
    return ScriptedServer(smtp_script({b"EHLO": ehlo, b"AUTH": auth}), certificate=certificate)


def open_imap(server, authority, login=LOGIN) -> ImapSession:
    return ImapSession.open(stub_endpoint(server, security="tls", ca_file=authority.ca_file), login)


def open_smtp(server, authority, transcript=None) -> SmtpSession:
    endpoint = smtp_endpoint(server, security="tls", ca_file=authority.ca_file)
    return SmtpSession.open(endpoint, LOGIN, transcript=transcript)


def after_a_plus(answer: bytes):
    def take(dialogue, line):
        dialogue.send(b"+ \r\n")
        dialogue.readline()
        return answer

    return take


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize("at_once", [True, False])
def test_imap_gets_the_token_as_its_specification_says(authority, server_certificate, mechanism, at_once):
    offered = f"AUTH={mechanism} AUTH=PLAIN" + (" SASL-IR" if at_once else "")
    welcome = b"{tag} OK welcome\r\n"
    with imap_server(server_certificate, offered, welcome if at_once else after_a_plus(welcome)) as server:
        open_imap(server, authority).logout()
        lines = server.dialogues[0].lines
    response = next(line for line in lines if mechanism.encode() in line or line.startswith(b"bixh"))
    encoded = response.split()[-1] if at_once else lines[lines.index(response) + 1].strip()
    assert b64decode(encoded) == said(mechanism, server.port)


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_smtp_gets_the_token_as_its_specification_says(authority, server_certificate, mechanism):
    with smtp_server(server_certificate, f"{mechanism} PLAIN", b"235 welcome\r\n") as server:
        open_smtp(server, authority).close()
        line = next(line for line in server.dialogues[0].lines if line.startswith(b"AUTH"))
    assert line.split()[1].decode() == mechanism
    assert b64decode(line.split()[2]) == said(mechanism, server.port)


def test_the_standard_is_preferred_to_what_came_before_it(authority, server_certificate):
    with imap_server(
        server_certificate, "AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", b"{tag} OK hi\r\n"
    ) as server:
        open_imap(server, authority).logout()
        assert b"AUTHENTICATE OAUTHBEARER " in server.received
        assert b"XOAUTH2" not in server.received


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize("at_once", [True, False])
def test_trap_2_imap_dismisses_the_error_challenge_and_never_repeats_the_token(
    authority, server_certificate, mechanism, at_once
):
    answers = []

    def refuse(dialogue, line):
        if not at_once:
            dialogue.send(b"+ \r\n")
            dialogue.readline()
        dialogue.send(b"+ " + REASON + b"\r\n")
        answers.append(dialogue.readline())
        return b"{tag} NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\r\n"

    offered = f"AUTH={mechanism}" + (" SASL-IR" if at_once else "")
    with imap_server(server_certificate, offered, refuse) as server:
        with pytest.raises(AuthenticationFailed) as caught:
            open_imap(server, authority)
        token_count = server.received.count(b64encode(said(mechanism, server.port)))
    assert caught.value.code == "authentication_failed"
    assert (answers, token_count) == ([DISMISSALS[mechanism]], 1)


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_trap_2_smtp_dismisses_the_error_challenge_and_never_repeats_the_token(
    authority, server_certificate, mechanism
):
    answers = []

    def refuse(dialogue, line):
        dialogue.send(b"334 " + REASON + b"\r\n")
        answers.append(dialogue.readline())
        return b"535 5.7.8 Username and Password not accepted\r\n"

    with smtp_server(server_certificate, mechanism, refuse) as server:
        with pytest.raises(AuthenticationFailed) as caught:
            open_smtp(server, authority)
        token_count = server.received.count(b64encode(said(mechanism, server.port)))
    assert caught.value.code == "authentication_failed"
    assert (answers, token_count) == ([DISMISSALS[mechanism]], 1)


@pytest.mark.parametrize("at_once", [True, False])
def test_trap_2_a_server_that_goes_on_asking_is_cancelled(authority, server_certificate, at_once):
    answers = []

    def greedy(dialogue, line):
        if not at_once:
            dialogue.send(b"+ \r\n")
            dialogue.readline()
        for _ in range(3):
            dialogue.send(b"+ " + REASON + b"\r\n")
            answers.append(dialogue.readline())
        return b"{tag} NO no\r\n"

    offered = "AUTH=XOAUTH2" + (" SASL-IR" if at_once else "")
    with (
        imap_server(server_certificate, offered, greedy) as server,
        pytest.raises(AuthenticationFailed),
    ):
        open_imap(server, authority)
    assert answers == [b"\r\n", b"*\r\n", b"*\r\n"]


def test_t10_a_token_never_travels_unencrypted_whatever_the_network():
    with ScriptedServer(imap_script()) as server:
        with pytest.raises(HostNotAllowed) as caught:
            ImapSession.open(stub_endpoint(server), LOGIN)
        assert server.received == b""
    assert caught.value.code == "plaintext_not_allowed"
    with ScriptedServer(smtp_script()) as server:
        with pytest.raises(HostNotAllowed):
            SmtpSession.open(smtp_endpoint(server), LOGIN)
        assert server.received == b""


def test_t11_a_stripped_starttls_gets_no_token(authority):
    offer = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR\r\n{tag} OK done\r\n"}
    with ScriptedServer(imap_script(offer)) as server:
        with pytest.raises(Exception, match="STARTTLS"):
            ImapSession.open(stub_endpoint(server, security="starttls"), LOGIN)
        assert b"AUTHENTICATE" not in server.received


def test_a_server_that_takes_no_tokens_is_told_apart(authority, server_certificate):
    with imap_server(server_certificate, "AUTH=PLAIN", b"{tag} NO\r\n") as server:
        with pytest.raises(AuthenticationFailed) as caught:
            open_imap(server, authority)
        assert b"AUTHENTICATE" not in server.received
    assert caught.value.code == "oauth-not-offered"
    with smtp_server(server_certificate, "PLAIN LOGIN", b"535 no\r\n") as server:
        with pytest.raises(AuthenticationFailed) as caught:
            open_smtp(server, authority)
        assert b"AUTH " not in server.received
    assert caught.value.code == "oauth-not-offered"


def test_t9_a_server_that_echoes_the_token_reveals_it_nowhere(authority, server_certificate, caplog):
    def echo(dialogue, line):
        return b"{tag} NO you said " + line.strip() + b" and mean " + TOKEN.encode() + b"\r\n"

    def echo_smtp(dialogue, line):
        return b"535 you said " + line.strip() + b" and mean " + TOKEN.encode() + b"\r\n"

    transcript: list[str] = []
    with caplog.at_level(logging.DEBUG):
        with imap_server(server_certificate, "AUTH=XOAUTH2 SASL-IR", echo) as server:
            with pytest.raises(AuthenticationFailed) as imap:
                open_imap(server, authority)
            secrets = [server.dialogues[0].lines[-1].split()[-1].decode()]
        with smtp_server(server_certificate, "XOAUTH2", echo_smtp) as server:
            with pytest.raises(AuthenticationFailed) as smtp:
                open_smtp(server, authority, transcript)
            secrets.append(server.dialogues[0].lines[-1].split()[-1].decode())
    told = f"{imap.value!r} {smtp.value!r} {caplog.text} {LOGIN!r} {transcript}"
    assert "AUTH XOAUTH2 [redacted]" in told
    for secret in (TOKEN, *secrets):
        assert secret not in told


@pytest.mark.parametrize("token", ["", "a b", "a\x01auth=Bearer b", "a\r\nX1 NOOP", "ü"])
def test_what_no_token_may_hold_is_refused(token):
    with pytest.raises(InvalidArgument):
        BearerLogin("anna@firma.example", token)


def test_a_user_name_cannot_forge_the_header_of_the_standard(authority, server_certificate):
    login = BearerLogin("anna,a=chef@firma.example", TOKEN)
    with imap_server(server_certificate, "AUTH=OAUTHBEARER SASL-IR", b"{tag} OK hi\r\n") as server:
        open_imap(server, authority, login).logout()
        line = next(line for line in server.dialogues[0].lines if b"AUTHENTICATE" in line)
    assert b64decode(line.split()[-1]).startswith(b"n,a=anna=2Ca=3Dchef@firma.example,\x01")
    with pytest.raises(InvalidArgument):
        BearerLogin("anna\x01auth=Bearer x", TOKEN)
