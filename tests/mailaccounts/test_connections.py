"""From settings to sessions: what is read, what is refused, and under which name we call."""

from __future__ import annotations

import pytest
from django.utils import timezone

from mailaccounts import connections, services
from mailaccounts.connections import AccountNotReady
from mailaccounts.models import MailAccount, SmtpSettings


def _code(open_access, account: MailAccount) -> str:
    with pytest.raises(AccountNotReady) as error:
        open_access(account)
    return error.value.code


def test_missing_settings_are_told_by_code(make_account):
    assert _code(connections.imap_access, make_account(imap=None)) == "imap_missing"
    assert _code(connections.smtp_access, make_account()) == "smtp_off"
    assert _code(connections.smtp_access, make_account(smtp={"is_enabled": False})) == "smtp_off"
    assert _code(connections.smtp_access, make_account(imap=None, smtp={})) == "smtp_login_missing"
    erased = make_account(smtp={})
    services.store_imap_password(erased.imap, "")
    assert _code(connections.imap_access, erased) == "password_missing"
    assert _code(connections.smtp_access, erased) == "password_missing"


def test_a_retired_account_opens_nothing(make_account):
    account = make_account(smtp={})
    account.retired_at = timezone.now()
    assert _code(connections.imap_access, account) == "account_retired"
    assert _code(connections.smtp_access, account) == "account_retired"


def test_smtp_borrows_the_login_unless_it_has_its_own(make_account):
    borrowing = make_account(smtp={})
    assert connections.smtp_access(borrowing).login == connections.imap_access(borrowing).login
    own = make_account(smtp={"has_own_login": True, "username": "relay"})
    services.store_smtp_password(own.smtp, "eigenes")
    login = connections.smtp_access(own).login
    assert (login.username, login.password) == ("relay", "eigenes")


def test_relay_without_login_gets_none(make_account):
    account = make_account(smtp={"authentication": SmtpSettings.Authentication.NONE})
    assert connections.smtp_access(account).login is None


@pytest.mark.parametrize(
    ("alias", "email", "name"),
    [
        ("", "info@brandis.example", "brandis.example"),
        ("mail.brandis.example", "info@brandis.example", "mail.brandis.example"),
        ("", "info@brändis.example", "xn--brndis-cua.example"),
        ("zwei worte", "info@brandis.example", "localhost"),
    ],
)
def test_ehlo_name(make_account, alias, email, name):
    account = make_account(email=email, smtp={"client_alias": alias})
    assert connections.ehlo_name(account) == name


@pytest.mark.servers
def test_open_imap_logs_in(trusted, make_account, dovecot, mailbox):
    imap = {"host": "localhost", "port": dovecot.tls_port, "security": "tls", "username": mailbox.username}
    with connections.open_imap(make_account(imap=imap, password=mailbox.password)) as session:
        assert session.status("INBOX").messages == 0


@pytest.mark.servers
def test_t9_open_smtp_sends_and_its_transcript_holds_no_password(trusted, make_account, smtp_sink_tls):
    smtp = {"host": "localhost", "port": smtp_sink_tls.port, "has_own_login": True, "username": "user"}
    account = make_account(smtp=smtp)
    services.store_smtp_password(account.smtp, "Geheim-4711")
    transcript: list[str] = []
    with connections.open_smtp(account, transcript=transcript) as transport:
        transport.send("a@b.example", ["c@d.example"], b"Subject: x\r\n\r\ny\r\n", before_dot=lambda: None)
    assert len(smtp_sink_tls.transactions) == 1
    assert any("EHLO brandis.example" in line for line in transcript)
    assert "Geheim-4711" not in "\n".join(transcript)


def local_account(make_account):
    return make_account(imap=None, smtp={"transport": SmtpSettings.Transport.LOCAL, "host": ""})


def test_local_mail_program_needs_no_server(make_account, settings, tmp_path):
    program = tmp_path / "sendmail"
    program.touch(mode=0o700)
    settings.SENDMAIL_PATH = str(program)
    with connections.open_smtp(local_account(make_account)) as transport:
        assert transport.sendmail_path == str(program)


def test_without_the_program_the_mta_on_localhost_takes_the_mail(make_account, settings, smtp_sink):
    settings.SENDMAIL_PATH = "/nonexistent/sendmail"
    settings.LOCAL_MTA_PORT = smtp_sink.port
    settings.MAIL_ALLOWED_NETWORKS = ["public"]  # what forms may name does not matter here
    with connections.open_smtp(local_account(make_account)) as transport:
        transport.send("a@b.example", ["c@d.example"], b"Subject: x\r\n\r\ny\r\n", before_dot=lambda: None)
    assert len(smtp_sink.transactions) == 1
