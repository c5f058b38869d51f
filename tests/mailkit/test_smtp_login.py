"""SMTP: no login byte before verified TLS, one attempt a login, transcripts without secrets."""

import base64
from pathlib import Path

import pytest

from mailkit.errors import (
    AuthenticationFailed,
    CertificateInvalid,
    ConnectionFailed,
    ConnectionTimeout,
    HostNotAllowed,
    MailError,
    ProtocolViolation,
    TlsFailed,
)
from mailkit.network import NetworkPolicy
from mailkit.smtp import PasswordLogin, SmtpEndpoint, SmtpSession
from mailkit.smtp_wire import RecordingSmtp
from tests.fixtures_mail import ANY_PORT
from tests.mailkit.smtp_sessions import LOGIN, open_smtp, send
from tests.servers import Certificate, CertificateAuthority, CuttingProxy, SmtpSink
from tests.stubs.scripted import ScriptedServer, smtp_script

OFFER = {b"EHLO": b"250-stub.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"}
SECRETS = (
    b"AUTH",
    LOGIN.password.encode(),
    base64.b64encode(f"\0{LOGIN.username}\0{LOGIN.password}".encode()),
)


def assert_no_login(received: bytes) -> None:
    for secret in SECRETS:
        assert secret not in received


def test_t11_starttls_and_login(smtp_sink_tls: SmtpSink, authority: CertificateAuthority):
    with open_smtp(smtp_sink_tls, LOGIN, security="starttls", ca_file=authority.ca_file) as session:
        send(session)
    (transaction,) = smtp_sink_tls.transactions
    assert (transaction.is_tls, transaction.username) == (True, "user")
    assert smtp_sink_tls.login_attempts == [("user", "Geheim-4711")]


def test_t11_implicit_tls_and_login(server_certificate: Certificate, authority: CertificateAuthority):
    users = {LOGIN.username: LOGIN.password}
    with SmtpSink(certificate=server_certificate, security="tls", users=users) as sink:
        with open_smtp(sink, LOGIN, security="tls", ca_file=authority.ca_file) as session:
            send(session)
        assert sink.transactions[0].username == "user"


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        pytest.param({b"EHLO": b"250-stub.example\r\n250 AUTH PLAIN\r\n"}, TlsFailed, id="stripped"),
        pytest.param({b"EHLO": b"502 what\r\n"}, TlsFailed, id="no-esmtp"),
        pytest.param(OFFER | {b"STARTTLS": b"454 4.7.0 not now\r\n"}, TlsFailed, id="refused"),
        pytest.param(
            OFFER | {b"STARTTLS": b"220 go\r\n250 injected\r\n"}, ConnectionFailed, id="b86-injected"
        ),
        pytest.param(OFFER | {b"STARTTLS": b"220 go\r\n"}, ConnectionFailed, id="no-handshake"),
    ],
)
def test_t11_trap_6_stripped_starttls_gets_no_login(answers: dict, error: type[MailError]):
    with ScriptedServer(smtp_script(answers)) as server:
        with pytest.raises(error):
            open_smtp(server, LOGIN, security="starttls", timeout=1.0)
        assert_no_login(server.received)


def test_b86_what_was_injected_before_tls_is_no_answer_inside_it(
    server_certificate: Certificate, authority: CertificateAuthority
):
    def upgrade(dialogue, line):
        dialogue.send(b"220 go\r\n250-evil.example\r\n250 AUTH PLAIN X-INJECTED\r\n")
        dialogue.start_tls(server_certificate)
        return b""

    answers = OFFER | {b"STARTTLS": upgrade, b"AUTH": b"235 welcome\r\n"}
    with (
        ScriptedServer(smtp_script(answers)) as server,
        open_smtp(server, LOGIN, security="starttls", ca_file=authority.ca_file) as session,
    ):
        assert session._client.server_auth_methods == ["plain", "login"]


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("reason", ["expired", "hostname", "self-signed", "untrusted"])
def test_r29_t10_a_bad_certificate_gets_no_login_and_a_distinct_error(
    authority: CertificateAuthority, tmp_path: Path, security: str, reason: str
):
    certificate = {
        "expired": lambda: authority.issue(days=-1, label="expired"),
        "hostname": lambda: authority.issue("mail.andere.example", label="other-host"),
        "self-signed": authority.self_signed,
        "untrusted": lambda: CertificateAuthority(tmp_path).issue(),
    }[reason]()

    def upgrade(dialogue, line):
        dialogue.send(b"220 go\r\n")
        dialogue.start_tls(certificate)
        return b""

    implicit = certificate if security == "tls" else None
    with ScriptedServer(smtp_script(OFFER | {b"STARTTLS": upgrade}), certificate=implicit) as server:
        with pytest.raises(CertificateInvalid) as caught:
            open_smtp(server, LOGIN, security=security, ca_file=authority.ca_file)
        assert caught.value.reason == reason
        assert_no_login(server.received)


def test_t11_plain_text_only_inside_the_listed_networks(smtp_sink: SmtpSink):
    policy = NetworkPolicy.from_strings(["loopback"], ports=ANY_PORT)
    with pytest.raises(HostNotAllowed) as caught:
        SmtpSession.open(SmtpEndpoint("127.0.0.1", smtp_sink.port, "none", policy))
    assert caught.value.code == "plaintext_not_allowed"
    assert smtp_sink.connections == 0


@pytest.mark.parametrize("offered", [b"PLAIN LOGIN CRAM-MD5", b"LOGIN", b"CRAM-MD5"])
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"535 5.7.8 Error: authentication failed", "authentication_failed"),
        (b"534-5.7.9 Application-specific password required.\r\n534 5.7.9 more", "app-password-required"),
        (b"535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "oauth-required"),
        (b"454 4.7.0 Temporary authentication failure", "unavailable"),
        (b"421 4.7.0 Too many connections", "too-many-connections"),
        (b"451 4.3.0 later", "unavailable"),
    ],
)
def test_r32_a_refused_login_is_tried_once_and_told_apart(offered: bytes, reply: bytes, code: str):
    def refuse(dialogue, line):
        if b"PLAIN" not in line:
            dialogue.send(b"334 PDQ3MTFAc3R1Yj4=\r\n")
            dialogue.readline()
        return reply + b"\r\n"

    answers = {b"EHLO": b"250-stub.example\r\n250 AUTH " + offered + b"\r\n", b"AUTH": refuse}
    with ScriptedServer(smtp_script(answers)) as server:
        with pytest.raises(AuthenticationFailed) as caught:
            open_smtp(server, LOGIN)
        assert caught.value.code == code
        assert server.received.count(b"AUTH ") == 1


def test_a_server_without_login_is_told_apart(smtp_sink: SmtpSink):
    with ScriptedServer(smtp_script()) as server, pytest.raises(AuthenticationFailed) as caught:
        open_smtp(server, LOGIN)
    assert caught.value.code == "login-disabled"


@pytest.mark.parametrize(
    ("greeting", "error", "code"),
    [
        (b"554 5.7.1 your address is blocked\r\n", ConnectionFailed, "server_unavailable"),
        (b"421 4.3.2 too busy\r\n", ConnectionFailed, "server_unavailable"),
        (b"* OK IMAP4rev1\r\n", ProtocolViolation, "protocol_violation"),
        (b"220-" + b"x" * 100_000, ProtocolViolation, "protocol_violation"),
    ],
)
def test_b89_a_strange_greeting_is_an_error_of_ours(greeting: bytes, error: type[MailError], code: str):
    with ScriptedServer(smtp_script(greeting=greeting)) as server, pytest.raises(error) as caught:
        open_smtp(server)
    assert caught.value.code == code


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
def test_r12_a_server_that_never_greets_is_given_up(security: str):
    with ScriptedServer(lambda dialogue: dialogue.wait_for_end()) as server, pytest.raises(ConnectionTimeout):
        open_smtp(server, timeout=0.3, security=security)


@pytest.mark.parametrize("offered", [b"PLAIN", b"LOGIN", b"CRAM-MD5"])
def test_t9_a_transcript_holds_the_dialogue_without_credentials_and_content(offered: bytes):
    secrets = [LOGIN.password, base64.b64encode(LOGIN.password.encode()).decode()]

    def log_in(dialogue, line):
        if offered != b"PLAIN":
            dialogue.send(b"334 PDQ3MTFAc3R1Yj4=\r\n")
            line = dialogue.readline()
        sent = line.strip().split(b" ")[-1]
        secrets.append(sent.decode())
        echo = b"" if offered == b"CRAM-MD5" else b", you said " + sent
        return b"235 2.7.0 welcome" + echo + b" and mean " + LOGIN.password.encode() + b"\r\n"

    answers = {b"EHLO": b"250-stub.example\r\n250 AUTH " + offered + b"\r\n", b"AUTH": log_in}
    transcript: list[str] = []
    with (
        ScriptedServer(smtp_script(answers)) as server,
        open_smtp(server, LOGIN, transcript=transcript) as session,
    ):
        send(session, raw=b"Subject: vertraulich\r\n\r\nInhalt\r\n")
    text = "\n".join(transcript)
    for secret in secrets:
        assert secret not in text
    assert "vertraulich" not in text
    assert "Inhalt" not in text
    for expected in (
        "S: 220 stub.example ESMTP",
        "C: EHLO erp.example",
        "C: MAIL FROM:<erp@firma.example>",
        "C: DATA",
        "C: .",
        "C: QUIT",
    ):
        assert expected in transcript


def test_t9_whatever_follows_the_mechanism_of_an_auth_is_left_out():
    transcript: list[str] = []
    RecordingSmtp(transcript, []).record_command(b"auth", b"MECHANISM-TO-COME", b"c2VjcmV0")
    assert transcript == ["C: auth MECHANISM-TO-COME [redacted]"]


def test_t9_a_transcript_shows_starttls(smtp_sink_tls: SmtpSink, authority: CertificateAuthority):
    transcript: list[str] = []
    open_smtp(
        smtp_sink_tls, LOGIN, security="starttls", ca_file=authority.ca_file, transcript=transcript
    ).close()
    assert transcript.index("C: STARTTLS") < transcript.index("C: AUTH PLAIN [redacted]")


def test_t9_an_error_never_quotes_the_password():
    def echo(dialogue, line):
        return b"535 no: " + line.strip() + b" " + LOGIN.password.encode() + b"\r\n"

    answers = {b"EHLO": b"250-stub.example\r\n250 AUTH PLAIN\r\n", b"AUTH": echo}
    with ScriptedServer(smtp_script(answers)) as server, pytest.raises(AuthenticationFailed) as caught:
        open_smtp(server, LOGIN)
    told = f"{caught.value!r} {caught.value.detail} {caught.value.__cause__!r}"
    assert LOGIN.password not in told
    assert base64.b64encode(f"\0{LOGIN.username}\0{LOGIN.password}".encode()).decode() not in told


def test_a_password_with_umlauts_reaches_the_server(
    server_certificate: Certificate, authority: CertificateAuthority
):
    login = PasswordLogin("jörg", "Übung macht 4711 €")
    with SmtpSink(
        certificate=server_certificate, security="tls", users={login.username: login.password}
    ) as sink:
        open_smtp(sink, login, security="tls", ca_file=authority.ca_file).close()
        assert sink.login_attempts == [(login.username, login.password)]


def test_closing_never_raises_and_leaves_nothing_open(smtp_sink: SmtpSink):
    session = open_smtp(smtp_sink)
    session.close()
    session.close()
    assert not session.is_open
    with CuttingProxy(smtp_sink.port) as proxy:
        session = open_smtp(proxy)
    session.close()
    with ScriptedServer(smtp_script({b"QUIT": b"500 stay\r\n"})) as server:
        open_smtp(server).close()
