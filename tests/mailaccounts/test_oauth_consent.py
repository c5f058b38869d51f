"""Connecting with a provider: by whom it was begun, once, soon, and for the account's own address (T17)."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from mailaccounts import health, oauth_consent
from mailaccounts.errors import AccountNotReady
from mailaccounts.models import AccountHealth, ImapSettings
from mailaccounts.oauth_consent import ConsentRefused
from mailaccounts.oauth_models import OAuthAuthorisation, OAuthClient, OAuthToken
from mailaccounts.oauth_requests import ProviderTryLater
from mailaccounts.tasks import forget_old_tests
from mailkit.errors import InvalidArgument
from mailkit.https import HttpsClient
from tests.fixtures_oauth import SESSION
from tests.server_oauth import REDIRECT_URI, SCOPE


@pytest.fixture
def account(make_account):
    return make_account(imap={"host": "localhost"})


@pytest.fixture
def begin(account, oauth_server, mail_administrator):
    """Go to the provider and agree; return what the browser brings back."""

    def go() -> dict[str, str]:
        oauth_server.identity = oauth_server.identity or account.email
        url = oauth_consent.begin_authorisation(
            account=account, provider="google", user=mail_administrator, session_key=SESSION,
            redirect_uri=REDIRECT_URI,
        )  # fmt: skip
        return oauth_server.consent(url)

    return go


def complete(back, user, session_key=SESSION) -> OAuthToken:
    return oauth_consent.complete_authorisation(**back, user=user, session_key=session_key)


def refused(back, user, session_key=SESSION) -> ConsentRefused:
    with pytest.raises(ConsentRefused) as caught:
        complete(back, user, session_key)
    assert not OAuthToken.objects.exists()
    return caught.value


def test_t17_a_consent_makes_the_account_sign_in_by_it(account, connect, mail_administrator):
    health.record_failure(account.pk, AccountNotReady("x", code="password_missing"))
    token = connect(account)
    assert (token.identity, token.state) == (account.email, OAuthToken.State.ACTIVE)
    account.imap.refresh_from_db()
    assert account.imap.authentication == ImapSettings.Authentication.OAUTH
    assert not AccountHealth.objects.get(account=account).is_paused
    entry = AuditEntry.objects.get(action="account.oauth_connected")
    assert (entry.actor_id, entry.changes["identity"]) == (mail_administrator.pk, ["", account.email])
    assert not OAuthAuthorisation.objects.exists()


def test_t17_the_request_asks_for_mail_with_state_and_pkce(account, oauth_server, mail_administrator):
    url = oauth_consent.begin_authorisation(
        account=account, provider="google", user=mail_administrator, session_key=SESSION,
        redirect_uri=REDIRECT_URI,
    )  # fmt: skip
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    row = OAuthAuthorisation.objects.get()
    assert asked["scope"] == f"openid email {SCOPE}"
    assert (asked["code_challenge_method"], asked["access_type"]) == ("S256", "offline")
    assert (asked["redirect_uri"], asked["login_hint"]) == (REDIRECT_URI, account.email)
    assert len(asked["state"]) >= 43
    stored = str(vars(row))
    assert asked["state"] not in stored
    assert SESSION not in stored
    assert row.state_digest == hashlib.sha256(asked["state"].encode()).hexdigest()


def test_t17_a_state_is_good_once(account, begin, mail_administrator):
    back = begin()
    complete(back, mail_administrator)
    OAuthToken.objects.all().delete()
    assert refused(back, mail_administrator).code == "oauth_state_unknown"


def test_t17_a_state_is_used_up_by_a_failure_too(begin, oauth_server, mail_administrator):
    back = begin()
    oauth_server.failure = (503, {}, {})
    with pytest.raises(ProviderTryLater):
        complete(back, mail_administrator)
    oauth_server.failure = None
    assert refused(back, mail_administrator).code == "oauth_state_unknown"


def test_t17_another_session_or_user_gets_nothing_and_spoils_nothing(begin, mail_administrator, make_user):
    back = begin()
    assert refused(back, mail_administrator, "another session").code == "oauth_state_unknown"
    assert refused(back, make_user()).code == "oauth_state_unknown"
    assert refused(back | {"state": "guessed"}, mail_administrator).code == "oauth_state_unknown"
    assert complete(back, mail_administrator)


def test_t17_a_state_is_good_for_ten_minutes(begin, mail_administrator):
    back = begin()
    OAuthAuthorisation.objects.update(started_at=timezone.now() - timedelta(minutes=10, seconds=1))
    assert refused(back, mail_administrator).code == "oauth_state_unknown"
    forget_old_tests()
    assert not OAuthAuthorisation.objects.exists()


def test_t17_a_code_of_another_authorisation_fails_its_pkce(begin, mail_administrator):
    mine, theirs = begin(), begin()
    assert refused(mine | {"code": theirs["code"]}, mail_administrator).code == "oauth_state_unknown"


def test_t17_another_identity_than_the_accounts_stores_nothing(
    account, begin, oauth_server, mail_administrator
):
    oauth_server.identity = "chef@brandis.example"
    told = refused(begin(), mail_administrator)
    assert (told.code, told.detail) == ("oauth_identity_differs", "chef@brandis.example")
    account.imap.refresh_from_db()
    assert account.imap.authentication == ImapSettings.Authentication.PASSWORD
    assert "/revoke" not in [path for path, _ in oauth_server.requests]


def test_t17_an_id_token_for_another_client_names_nobody(begin, oauth_server, mail_administrator):
    oauth_server.audience = "somebody-else"
    assert refused(begin(), mail_administrator).code == "oauth_identity_differs"


def test_t17_an_address_that_the_provider_never_verified_names_nobody(
    begin, oauth_server, mail_administrator
):
    oauth_server.is_verified = False
    assert refused(begin(), mail_administrator).code == "oauth_identity_differs"


def test_t17_a_mailbox_on_another_server_keeps_its_password(make_account, connect):
    elsewhere = make_account(imap={"host": "imap.firma.example"})
    connect(elsewhere)
    elsewhere.imap.refresh_from_db()
    assert elsewhere.imap.authentication == ImapSettings.Authentication.PASSWORD


def test_a_consent_for_a_limited_time_is_stored_with_its_end(account, connect, oauth_server):
    oauth_server.consent_lifetime = 7 * 86_400
    left = connect(account).consent_ends_at - timezone.now()
    assert timedelta(days=7) - timedelta(minutes=2) < left <= timedelta(days=7)
    oauth_server.consent_lifetime = 0
    assert connect(account).consent_ends_at is None


def test_the_case_of_the_address_does_not_matter(account, connect):
    assert connect(account, account.email.upper()).identity == account.email


@pytest.mark.parametrize("switch", [{"scope": "openid email"}, {"gives_refresh_token": False}])
def test_a_consent_without_mail_or_not_for_long_is_refused(begin, oauth_server, mail_administrator, switch):
    back = begin()
    for name, value in switch.items():
        setattr(oauth_server, name, value)
    assert refused(back, mail_administrator).code == "oauth_consent_incomplete"


def test_without_a_registration_nothing_begins(account, oauth_server, mail_administrator):
    OAuthClient.objects.all().delete()
    with pytest.raises(ProviderTryLater) as caught:
        oauth_consent.begin_authorisation(
            account=account, provider="google", user=mail_administrator, session_key=SESSION,
            redirect_uri=REDIRECT_URI,
        )  # fmt: skip
    assert caught.value.code == "oauth_client_missing"


def test_disconnecting_forgets_the_tokens_and_withdraws_the_consent(
    account, connect, oauth_server, mail_administrator
):
    connect(account)
    assert oauth_consent.disconnect(account=account, by=mail_administrator)
    assert not OAuthToken.objects.exists()
    path, fields = oauth_server.requests[-1]
    assert (path, fields["token"].startswith("Kanari-refresh-")) == ("/revoke", True)
    assert AuditEntry.objects.filter(action="account.oauth_disconnected", actor=mail_administrator).exists()
    assert not oauth_consent.disconnect(account=account, by=mail_administrator)


def test_disconnecting_forgets_the_tokens_when_the_provider_is_away(
    account, connect, oauth_server, mail_administrator
):
    connect(account)
    oauth_server.__exit__()
    assert not oauth_consent.disconnect(account=account, by=mail_administrator)
    assert not OAuthToken.objects.exists()
    oauth_server.__enter__()


def test_w11_an_endpoint_is_asked_by_https_within_the_networks_only(oauth_server, authority):
    with pytest.raises(InvalidArgument):
        HttpsClient(("loopback",)).post_form(f"http://localhost:{oauth_server.plain_port}/token", {})
    with pytest.raises(Exception, match="localhost") as caught:
        HttpsClient(("public",), authority.ca_file).post_form(oauth_server.provider.token_url, {})
    assert caught.value.code == "host_not_allowed"
    assert oauth_server.requests == []
