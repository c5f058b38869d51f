"""A mailbox opened by OAuth, on a real Dovecot: from consent to ticket, expiry, end and new consent."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from django.utils import timezone

from inbound import checking
from mailaccounts import connections, services
from mailaccounts.models import AccountHealth, ImapSettings, SmtpSettings
from mailaccounts.oauth_models import OAuthToken
from mailkit.bearer import BearerLogin
from mailkit.errors import AuthenticationFailed
from mailkit.imap import ImapSession
from outbound import throttling
from outbound.models import DeliveryThrottle
from tests.inbound.conftest import mail
from tests.servers import MailUser

pytestmark = pytest.mark.servers


@pytest.fixture
def station(make_station, oauth_dovecot):
    """An account whose mailbox at the provider bears its address."""
    email = "anna@firma.example"
    station = make_station(email, server=oauth_dovecot, port=oauth_dovecot.tls_port, security="tls")
    return dataclasses.replace(station, user=MailUser(email, oauth_dovecot.password))


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_dovecot_takes_the_token_by_either_mechanism(station, connect, oauth_dovecot, monkeypatch, mechanism):
    connect(station.account)
    station.account.imap.refresh_from_db()
    offered = ImapSession.capabilities

    def only_this(session):
        return frozenset(c for c in offered(session) if not c.startswith("AUTH=") or c == f"AUTH={mechanism}")

    monkeypatch.setattr(ImapSession, "capabilities", only_this)
    with connections.open_imap(station.account) as session:
        assert session.examine("INBOX").messages == 0
    assert f"method={mechanism}" in oauth_dovecot.log()


def test_trap_2_dovecot_refuses_a_strange_token_and_the_session_is_over(station, oauth_dovecot, oauth_server):
    endpoint = connections.imap_endpoint(station.account.imap)
    with pytest.raises(AuthenticationFailed) as caught:
        ImapSession.open(endpoint, BearerLogin(station.account.email, "strange-token-4711"))
    assert caught.value.code == "authentication_failed"
    assert "strange-token-4711" not in repr(caught.value)


def test_r30_from_consent_to_ticket_to_the_end_of_the_consent_and_back(station, connect, oauth_server):
    connect(station.account)
    station.deliver(mail("Erste"))
    station.poll()
    OAuthToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    oauth_server.expire_access_tokens()
    station.deliver(mail("Zweite"))
    station.poll()
    assert [ticket.subject for ticket in station.tickets()] == ["Erste", "Zweite"]
    assert oauth_server.count("refresh_token") == 1

    oauth_server.revoke_everything()
    station.deliver(mail("Dritte"))
    station.poll(error="authentication_failed")
    station.poll(error="oauth_reconnect_needed")
    AccountHealth.objects.update(next_poll_at=timezone.now())
    assert AccountHealth.objects.get().is_paused
    assert checking.check_due(pytest.fail) == 0
    assert oauth_server.count("refresh_token") == 2

    connect(station.account)
    asked: list[int] = []
    assert checking.check_due(asked.append) == 1
    assert asked == [station.account.pk]
    station.poll()
    assert station.tickets().count() == 3
    assert AccountHealth.objects.get().failing_since is None


def test_r30_a_check_of_many_accounts_pauses_the_one_whose_consent_has_ended(station, connect, oauth_server):
    connect(station.account)
    station.poll()
    oauth_server.revoke_everything()
    OAuthToken.objects.update(expires_at=timezone.now())
    AccountHealth.objects.update(next_poll_at=timezone.now())
    checking.check_due(pytest.fail)
    health = AccountHealth.objects.get()
    assert (health.is_paused, health.error_code) == (True, "oauth_reconnect_needed")


def test_r30_sending_stops_with_the_consent_and_goes_on_with_the_next(station, connect, oauth_server):
    connect(station.account)
    SmtpSettings.objects.create(account=station.account, is_enabled=True, host="localhost", port=587)
    account = services.lock_account(station.account.pk)
    assert account.imap.authentication == ImapSettings.Authentication.OAUTH
    oauth_server.revoke_everything()
    OAuthToken.objects.update(expires_at=timezone.now())
    for _ in range(2):
        with pytest.raises(connections.AccountNotReady) as caught, connections.open_smtp(account):
            pass
        throttling.hold_off(account, caught.value)
    assert oauth_server.count("refresh_token") == 1
    [held] = throttling.sending_accounts()
    assert DeliveryThrottle.objects.get().is_paused
    assert throttling.is_held_off(held)
    connect(station.account)
    [held] = throttling.sending_accounts()
    assert not throttling.is_held_off(held)
