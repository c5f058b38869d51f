"""No login byte before verified TLS, one attempt a login, and no trace of the password anywhere."""

import logging
from base64 import b64encode
from pathlib import Path

import pytest

from mailkit.errors import (
    AuthenticationFailed,
    CertificateInvalid,
    ConnectionFailed,
    ConnectionLost,
    HostNotAllowed,
    MailError,
    ProtocolViolation,
    TlsFailed,
)
from mailkit.imap import ImapEndpoint, ImapSession, PasswordLogin
from mailkit.network import NetworkPolicy
from tests.fixtures_mail import ANY_PORT
from tests.mailkit.imap_sessions import STUB_LOGIN, open_dovecot, open_stub, stub_endpoint
from tests.servers import Certificate, CertificateAuthority, Dovecot, MailUser, free_port
from tests.stubs.scripted import GREETING, ScriptedServer, imap_script

PASSWORD = STUB_LOGIN.password.encode()
OFFER = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n{tag} OK done\r\n"}
BYTES_AFTER = {b"STARTTLS": b"{tag} OK go\r\n* CAPABILITY IMAP4rev1\r\n"}
BYTES_BEFORE = {b"CAPABILITY": OFFER[b"CAPABILITY"] + b"* OK more\r\n"}


def assert_no_login(server: ScriptedServer) -> None:
    for secret in (PASSWORD, b"LOGIN", b"AUTHENTICATE", STUB_LOGIN.username.encode()):
        assert secret not in server.received


@pytest.mark.parametrize(
    ("greeting", "answers", "error"),
    [
        pytest.param(b"* PREAUTH welcome\r\n", OFFER, ProtocolViolation, id="preauth"),
        pytest.param(GREETING, {}, TlsFailed, id="starttls-not-offered"),
        pytest.param(
            GREETING, OFFER | {b"STARTTLS": b"{tag} NO not today\r\n"}, TlsFailed, id="starttls-refused"
        ),
        pytest.param(
            GREETING, OFFER | {b"STARTTLS": b"{tag} BAD what\r\n"}, ConnectionFailed, id="starttls-bad"
        ),
        pytest.param(GREETING, OFFER | BYTES_AFTER, ProtocolViolation, id="bytes-after-starttls-ok"),
        pytest.param(GREETING, BYTES_BEFORE, ProtocolViolation, id="bytes-before-starttls"),
        pytest.param(b"A1 OK begin TLS\r\n" + GREETING, OFFER, ProtocolViolation, id="ok-before-command"),
        pytest.param(
            GREETING, OFFER | {b"STARTTLS": b"{tag} OK go\r\n"}, ConnectionFailed, id="no-handshake"
        ),
        pytest.param(b"* BYE come back later\r\n", {}, ConnectionFailed, id="bye"),
        pytest.param(b"220 smtp.example ESMTP\r\n", {}, ConnectionFailed, id="another-protocol"),
    ],
)
def test_t11_b86_a_stripped_or_injected_starttls_gets_no_login(
    greeting: bytes, answers: dict, error: type[MailError]
):
    with ScriptedServer(imap_script(answers, greeting=greeting)) as server:
        with pytest.raises(error):
            open_stub(server, security="starttls", timeout=2.0)
        assert_no_login(server)


def test_t11_preauth_is_refused_inside_tls_too(
    authority: CertificateAuthority, server_certificate: Certificate
):
    script = imap_script(greeting=b"* PREAUTH welcome\r\n")
    with ScriptedServer(script, certificate=server_certificate) as server:
        with pytest.raises(ProtocolViolation) as caught:
            open_stub(server, security="tls", ca_file=authority.ca_file)
        assert caught.value.code == "preauth_refused"
        assert_no_login(server)


def test_t11_capabilities_from_before_starttls_are_forgotten(
    authority: CertificateAuthority, server_certificate: Certificate
):
    capabilities = iter(
        [b"IMAP4rev1 STARTTLS AUTH=PLAIN X-INJECTED", b"IMAP4rev1 UIDPLUS", b"IMAP4rev1 UIDPLUS"]
    )

    def upgrade(dialogue, line):
        dialogue.send(line.split(b" ")[0] + b" OK go\r\n")
        dialogue.start_tls(server_certificate)
        return b""

    answers = {
        b"STARTTLS": upgrade,
        b"CAPABILITY": lambda _d, _l: b"* CAPABILITY " + next(capabilities) + b"\r\n{tag} OK done\r\n",
    }
    with ScriptedServer(imap_script(answers)) as server:
        with open_stub(server, security="starttls", ca_file=authority.ca_file) as session:
            assert "X-INJECTED" not in session.capabilities()
        # AUTH=PLAIN was of before, so LOGIN it is; and all of it inside TLS.
        assert b"LOGIN " in server.received


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
        dialogue.send(line.split(b" ")[0] + b" OK go\r\n")
        dialogue.start_tls(certificate)
        return b""

    implicit = certificate if security == "tls" else None
    with ScriptedServer(imap_script(OFFER | {b"STARTTLS": upgrade}), certificate=implicit) as server:
        with pytest.raises(CertificateInvalid) as caught:
            open_stub(server, security=security, ca_file=authority.ca_file)
        assert caught.value.reason == reason
        assert caught.value.code == "certificate_" + reason.replace("-", "_")
        assert_no_login(server)


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_t11_every_security_logs_in_to_a_good_server(
    dovecot: Dovecot,
    mailbox: MailUser,
    authority: CertificateAuthority,
    loopback_policy: NetworkPolicy,
    security: str,
):
    port = dovecot.tls_port if security == "tls" else dovecot.port
    endpoint = ImapEndpoint("localhost", port, security, loopback_policy, authority.ca_file)
    with ImapSession.open(endpoint, PasswordLogin(mailbox.username, mailbox.password)) as session:
        assert session.status("INBOX").messages == 0


def test_t11_plain_text_only_inside_the_listed_networks():
    policy = NetworkPolicy.from_strings(["loopback"], ports=ANY_PORT)
    with ScriptedServer(imap_script()) as server:
        with pytest.raises(HostNotAllowed) as caught:
            ImapSession.open(ImapEndpoint("127.0.0.1", server.port, "none", policy), STUB_LOGIN)
        assert caught.value.code == "plaintext_not_allowed"
        assert server.received == b""


def test_r32_a_wrong_password_is_tried_once(dovecot: Dovecot):
    user = dovecot.new_user()
    with pytest.raises(AuthenticationFailed) as caught:
        open_dovecot(dovecot, type(user)(user.username, "falsch-0815"))
    assert caught.value.code == "authentication_failed"
    assert "falsch-0815" not in repr(caught.value)
    failures = [line for line in dovecot.log().splitlines() if user.username in line and "mismatch" in line]
    assert len(failures) == 1


@pytest.mark.parametrize("offered", [b"IMAP4rev1 AUTH=PLAIN", b"IMAP4rev1"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (b"[AUTHENTICATIONFAILED] Authentication failed.", "authentication_failed"),
        (b"LOGIN failed.", "authentication_failed"),
        (
            b"[ALERT] Application-specific password required: https://support.google.com/x",
            "app-password-required",
        ),
        (b"[ALERT] Your account is not enabled for IMAP use. Please visit ...", "imap-disabled"),
        (b"[ALERT] Too many simultaneous connections. (Failure)", "too-many-connections"),
        (b"[UNAVAILABLE] Maximum number of connections from user+IP exceeded", "too-many-connections"),
        (b"[UNAVAILABLE] Temporary authentication failure.", "unavailable"),
        (b"[INUSE] mailbox in use", "unavailable"),
        (b"AUTHENTICATE failed: BasicAuthBlocked", "oauth-required"),
    ],
)
def test_r32_the_servers_words_tell_a_wrong_password_from_the_rest(offered: bytes, words: bytes, code: str):
    refuse = b"{tag} NO " + words + b"\r\n"
    answers = {
        b"CAPABILITY": b"* CAPABILITY " + offered + b"\r\n{tag} OK done\r\n",
        b"LOGIN": refuse,
        b"AUTHENTICATE": challenged(refuse),
    }
    with ScriptedServer(imap_script(answers)) as server, pytest.raises(AuthenticationFailed) as caught:
        open_stub(server)
    assert caught.value.code == code


def challenged(refusal: bytes):
    def answer(dialogue, line):
        dialogue.send(b"+ \r\n")
        dialogue.readline()
        return refusal

    return answer


def test_trap_2_a_second_challenge_gets_no_second_password():
    def greedy(dialogue, line):
        for _ in range(3):
            dialogue.send(b"+ bW9yZQ==\r\n")
            dialogue.readline()
        return b"{tag} NO no\r\n"

    with ScriptedServer(imap_script(OFFER | {b"AUTHENTICATE": greedy})) as server:
        with pytest.raises(MailError):
            open_stub(server)
        answers = [line for line in server.dialogues[0].lines if b" " not in line]
    assert len(answers[0]) > 10
    assert set(answers[1:]) <= {b"*\r\n"}


AT_ONCE = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n{tag} OK done\r\n"}


def test_a_server_that_offers_it_gets_the_login_in_one_command():
    with ScriptedServer(imap_script(AT_ONCE)) as server:
        open_stub(server).logout()
        said = server.dialogues[0].lines
    secret = b64encode(b"\0" + STUB_LOGIN.username.encode() + b"\0" + PASSWORD)
    assert [line.split(b" ", 1)[1] for line in said] == [
        b"CAPABILITY\r\n", b"AUTHENTICATE PLAIN " + secret + b"\r\n", b"LOGOUT\r\n"
    ]  # fmt: skip


def test_p5_no_session_compiles_a_pattern_of_its_own():
    with ScriptedServer(imap_script()) as server, open_stub(server) as one, open_stub(server) as other:
        assert one._engine.tagre is other._engine.tagre


def test_trap_2_a_challenge_after_a_login_at_once_is_cancelled():
    def greedy(dialogue, line):
        dialogue.send(b"+ bW9yZQ==\r\n")
        assert dialogue.readline() == b"*\r\n"
        return b"{tag} NO no\r\n"

    with (
        ScriptedServer(imap_script(AT_ONCE | {b"AUTHENTICATE": greedy})) as server,
        pytest.raises(AuthenticationFailed),
    ):
        open_stub(server)


def test_t9_a_server_that_echoes_a_login_at_once_reveals_it_nowhere(caplog: pytest.LogCaptureFixture):
    def echo(dialogue, line):
        return b"{tag} NO what? " + line.strip() + b"\r\n"

    with (
        caplog.at_level(logging.DEBUG),
        ScriptedServer(imap_script(AT_ONCE | {b"AUTHENTICATE": echo})) as server,
    ):
        with pytest.raises(AuthenticationFailed) as caught:
            open_stub(server)
        secret = server.dialogues[0].lines[-1].split()[-1].decode()
    assert len(secret) > 10
    assert secret not in repr(caught.value) + caught.value.detail + caplog.text


def test_capabilities_told_in_the_greeting_are_believed_until_the_login_and_not_asked_again():
    greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR IDLE] ready\r\n"
    answers = {b"AUTHENTICATE": b"{tag} OK [CAPABILITY IMAP4rev1 UIDPLUS] welcome\r\n"}
    with ScriptedServer(imap_script(answers, greeting=greeting)) as server:
        with open_stub(server) as session:
            assert session.capabilities() == {"IMAP4REV1", "UIDPLUS"}
        assert b"CAPABILITY" not in server.received


def test_r32_a_connection_lost_during_the_login_is_no_wrong_password():
    def leave(dialogue, line):
        dialogue.send(b"+ \r\n")
        dialogue.readline()
        dialogue.send(b"* BYE shutting down\r\n")

    with (
        ScriptedServer(imap_script(OFFER | {b"AUTHENTICATE": leave})) as server,
        pytest.raises(ConnectionLost),
    ):
        open_stub(server)


def test_t9_b87_a_server_that_echoes_the_password_reveals_it_nowhere(caplog: pytest.LogCaptureFixture):
    def echo(dialogue, line):
        dialogue.send(b"+ \r\n")
        secret = dialogue.readline().strip()
        return b"{tag} NO [ALERT] <b>no</b> " + secret + b" is " + PASSWORD + b"\r\n"

    with (
        caplog.at_level(logging.DEBUG),
        ScriptedServer(imap_script(OFFER | {b"AUTHENTICATE": echo})) as server,
    ):
        with pytest.raises(AuthenticationFailed) as caught:
            open_stub(server)
        sent = server.dialogues[0].lines[-1].strip()
    told = repr(caught.value) + caught.value.detail + caplog.text + repr(STUB_LOGIN)
    assert STUB_LOGIN.password not in told
    assert sent.decode() not in told
    assert caught.value.__cause__ is None


def test_t9_no_log_line_and_no_attribute_of_the_engine_keeps_the_login(
    dovecot: Dovecot, mailbox: MailUser, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG), open_dovecot(dovecot, mailbox) as session:
        session.noop()
        kept = repr(vars(session._engine))
    assert mailbox.password not in caplog.text + kept


def test_t9_the_engine_keeps_no_last_lines_with_the_login():
    with ScriptedServer(imap_script()) as server, open_stub(server) as session:
        assert STUB_LOGIN.password not in repr(vars(session._engine))
        assert PASSWORD in server.received


def test_logins_with_blanks_quotes_and_umlauts_reach_the_server_unharmed():
    login = PasswordLogin('anna "x" \\ y', 'pa"ss \\ wort')
    with ScriptedServer(imap_script()) as server:
        ImapSession.open(stub_endpoint(server), login).logout()
        assert b'LOGIN "anna \\"x\\" \\\\ y" "pa\\"ss \\\\ wort"\r\n' in server.received


def test_a_port_where_nobody_listens_is_refused(loopback_policy: NetworkPolicy):
    endpoint = ImapEndpoint("127.0.0.1", free_port(), "none", loopback_policy)
    with pytest.raises(ConnectionFailed) as caught:
        ImapSession.open(endpoint, STUB_LOGIN)
    assert caught.value.code == "connection_refused"
