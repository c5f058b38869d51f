"""Sending by OAuth: the token of IMAP serves the provider's SMTP, and a refused one is replaced."""

from __future__ import annotations

from base64 import b64decode

import pytest

from mailaccounts import connections
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from mailkit.errors import AuthenticationFailed
from tests.stubs.scripted import ScriptedServer, smtp_script

EHLO = {b"EHLO": b"250-stub.example\r\n250 AUTH PLAIN XOAUTH2\r\n"}


@pytest.fixture
def account(db) -> MailAccount:
    account = MailAccount.objects.create(display_name="Anna", email="anna@firma.example")
    ImapSettings.objects.create(account=account, host="localhost", username=account.email)
    return account


@pytest.fixture
def provider_smtp(account, oauth_server, server_certificate):
    """The provider's SMTP server: takes its own tokens, and answers a wrong one as XOAUTH2 says."""

    def check(dialogue, line):
        token = b64decode(line.split()[2]).split(b"Bearer ")[1].rstrip(b"\x01").decode()
        if oauth_server.userinfo(token)[0] == 200:
            return b"235 2.7.0 Accepted\r\n"
        dialogue.send(b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n")
        assert dialogue.readline() == b"\r\n"
        return b"535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 more\r\n"

    with ScriptedServer(smtp_script(EHLO | {b"AUTH": check}), certificate=server_certificate) as server:
        SmtpSettings.objects.create(
            account=account, is_enabled=True, host="localhost", port=server.port, security="tls"
        )
        yield server


def send(account: MailAccount, transcript: list[str] | None = None) -> int:
    stored = MailAccount.objects.select_related("imap", "smtp").get(pk=account.pk)
    with connections.open_smtp(stored, transcript=transcript) as transport:
        raw = b"Subject: Angebot\r\n\r\nGuten Tag\r\n"
        return transport.send(account.email, ["b@kunde.example"], raw, before_dot=lambda: None).reply_code


def test_mail_leaves_by_the_token_of_the_mailbox(account, connect, provider_smtp, oauth_server):
    connect(account)
    transcript: list[str] = []
    assert send(account, transcript) == 250
    assert "C: AUTH XOAUTH2 [redacted]" in transcript
    assert not any(token in "\n".join(transcript) for token in oauth_server.all_tokens())


def test_r30_a_token_that_the_server_refuses_is_replaced_for_the_next_attempt(
    account, connect, provider_smtp, oauth_server
):
    connect(account)
    oauth_server.expire_access_tokens()
    with pytest.raises(AuthenticationFailed) as caught:
        send(account)
    assert caught.value.code == "authentication_failed"
    assert send(account) == 250
    assert oauth_server.count("refresh_token") == 1
