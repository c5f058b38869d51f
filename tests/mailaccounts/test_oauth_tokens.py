"""Access tokens: refreshed ahead, once, the old kept until the new is saved; dead consents asked for once."""

from __future__ import annotations

import base64
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from jobs import leases
from mailaccounts import connections, health, oauth_consent, oauth_tokens
from mailaccounts.errors import AccountNotReady
from mailaccounts.models import AccountHealth, ConnectionEvent, MailAccount
from mailaccounts.oauth_models import OAuthAuthorisation, OAuthClient, OAuthToken
from mailaccounts.oauth_requests import GrantInvalid, ProviderTryLater, Registration, TryLater
from mailaccounts.rotation import rotate
from mailkit.errors import AuthenticationFailed
from tests.fixtures_oauth import SESSION
from tests.server_oauth import REDIRECT_URI
from tests.servers import wait_until

NEW_KEY = "new:" + base64.b64encode(b"n" * 32).decode()
WORKERS = 8


@pytest.fixture
def account(make_account) -> MailAccount:
    return make_account(imap={"host": "localhost"}, smtp={"host": "localhost"})


@pytest.fixture
def token(account, connect) -> OAuthToken:
    return connect(account)


def lives(**left) -> None:
    """Let the access token live so long from now."""
    OAuthToken.objects.update(expires_at=timezone.now() + timedelta(**left))


def in_thread(pool, function, *arguments):
    def run():
        try:
            return function(*arguments)
        finally:
            connection.close()

    return pool.submit(run)


def said_refresh_tokens(server) -> list[str]:
    return [f["refresh_token"] for _, f in server.requests if f.get("grant_type") == "refresh_token"]


def test_r31_a_token_is_refreshed_five_minutes_ahead_and_not_earlier(token, account, oauth_server):
    lives(minutes=5, seconds=30)
    first = oauth_tokens.login_for(account.pk, "localhost")
    assert oauth_server.count("refresh_token") == 0
    lives(minutes=4, seconds=59)
    second = oauth_tokens.login_for(account.pk, "localhost")
    assert oauth_server.count("refresh_token") == 1
    assert first.access_token != second.access_token
    assert oauth_tokens.login_for(account.pk, "localhost") == second


@pytest.mark.django_db(transaction=True)
def test_r31_eight_workers_come_to_one_refresh_and_all_get_the_new_token(token, account, oauth_server):
    lives(seconds=-1)
    oauth_server.gate = threading.Event()
    start = threading.Barrier(WORKERS)

    def work():
        start.wait(20)
        return oauth_tokens.login_for(account.pk, "localhost").access_token

    with ThreadPoolExecutor(WORKERS) as pool:
        asked = [in_thread(pool, work) for _ in range(WORKERS)]
        wait_until(lambda: oauth_server.count("refresh_token"), "somebody refreshes")
        oauth_server.gate.set()
        got = {future.result(30) for future in asked}
    assert oauth_server.count("refresh_token") == 1
    assert len(got) == 1


@pytest.mark.django_db(transaction=True)
def test_r31_while_one_refreshes_the_others_use_what_is_still_good(token, account, oauth_server):
    lives(minutes=4)
    oauth_server.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        refreshing = in_thread(pool, oauth_tokens.login_for, account.pk, "localhost")
        wait_until(lambda: oauth_server.count("refresh_token"), "somebody refreshes")
        meanwhile = oauth_tokens.login_for(account.pk, "localhost")
        oauth_server.gate.set()
        assert refreshing.result(30).access_token != meanwhile.access_token


def test_r31_after_a_lost_reply_the_old_refresh_token_is_said_again(token, account, oauth_server):
    lives(seconds=-1)
    oauth_server.lost_replies = 1
    with pytest.raises(ProviderTryLater) as caught:
        oauth_tokens.login_for(account.pk, "localhost")
    assert caught.value.code == "oauth_unavailable"
    stored = OAuthToken.objects.get()
    assert stored.refresh_token_encrypted == token.refresh_token_encrypted
    assert stored.failing_since is not None
    OAuthClient.objects.update(retry_at=timezone.now())
    assert oauth_tokens.login_for(account.pk, "localhost")
    first, second = said_refresh_tokens(oauth_server)
    assert first == second
    stored.refresh_from_db()
    assert stored.refresh_token_encrypted != token.refresh_token_encrypted
    assert stored.failing_since is None
    assert OAuthClient.objects.get().failures == 0


def test_r31_a_refresh_that_fails_ahead_of_expiry_leaves_the_old_token_in_use(token, account, oauth_server):
    before = oauth_tokens.login_for(account.pk, "localhost")
    lives(minutes=4)
    oauth_server.failure = (503, {}, {})
    assert oauth_tokens.login_for(account.pk, "localhost") == before
    assert OAuthToken.objects.get().failing_since is not None


def test_a_provider_that_keeps_the_refresh_token_is_said_the_same_again(token, account, oauth_server):
    oauth_server.rotates = False
    for _ in range(2):
        lives(seconds=-1)
        oauth_tokens.login_for(account.pk, "localhost")
    first, second = said_refresh_tokens(oauth_server)
    assert first == second


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outcome", ["refreshed", "refused"])
def test_r31_who_refreshes_under_an_earlier_consent_writes_nothing(
    token, account, connect, oauth_server, outcome
):
    lives(seconds=-1)
    oauth_server.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        late = in_thread(pool, oauth_tokens.login_for, account.pk, "localhost")
        wait_until(lambda: oauth_server.count("refresh_token"), "somebody refreshes")
        renewed = connect(account)
        if outcome == "refused":
            oauth_server.revoke_everything()
        oauth_server.gate.set()
        late.exception(30)
    stored = OAuthToken.objects.get()
    assert stored.refresh_token_encrypted == renewed.refresh_token_encrypted
    assert stored.state == OAuthToken.State.ACTIVE


@pytest.mark.django_db(transaction=True)
def test_w4_keys_rotated_during_a_refresh_lose_no_token(token, account, oauth_server, settings):
    lives(seconds=-1)
    oauth_server.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        refreshing = in_thread(pool, oauth_tokens.login_for, account.pk, "localhost")
        wait_until(lambda: oauth_server.count("refresh_token"), "somebody refreshes")
        settings.MAIL_KEYS = [NEW_KEY, *settings.MAIL_KEYS]
        rotate()
        oauth_server.gate.set()
        refreshing.result(30)
    settings.MAIL_KEYS = [NEW_KEY]
    lives(seconds=-1)
    oauth_tokens.login_for(account.pk, "localhost")
    first, second = said_refresh_tokens(oauth_server)
    assert first != second


def test_w4_rotation_covers_every_secret_of_oauth(token, account, oauth_server, settings, mail_administrator):
    oauth_consent.begin_authorisation(
        account=account, provider="google", user=mail_administrator, session_key=SESSION,
        redirect_uri=REDIRECT_URI,
    )  # fmt: skip
    settings.MAIL_KEYS = [NEW_KEY, *settings.MAIL_KEYS]
    rotate()
    for model in (OAuthClient, OAuthToken, OAuthAuthorisation):
        names = [field.name for field in model._meta.fields if field.name.endswith("_encrypted")]
        assert names
        for value in model.objects.values_list(*names)[0]:
            assert value.startswith("new:")


# --- a consent that has ended (R30) --------------------------------------------------------------------


def fails(account: MailAccount) -> str:
    """Poll as far as the login goes, and record what comes of it."""
    try:
        connections.imap_access(account)
    except (AccountNotReady, TryLater) as error:
        health.record_failure(account.pk, error)
        return error.code
    return ""


def test_r30_an_ended_consent_is_said_once_and_pauses_the_account(token, account, oauth_server):
    account.refresh_from_db()
    oauth_server.revoke_everything()
    lives(seconds=-1)
    assert fails(account) == "oauth_reconnect_needed"
    assert AccountHealth.objects.get(account=account).is_paused
    assert account.pk not in health.due_account_ids(10)
    kinds = ConnectionEvent.objects.filter(account=account).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["failed", "paused"]
    for _ in range(3):
        with pytest.raises(AccountNotReady) as caught:
            connections.imap_access(account)
        assert caught.value.code == "oauth_reconnect_needed"
    with pytest.raises(AccountNotReady) as caught:
        connections.smtp_access(account)
    assert caught.value.code == "oauth_reconnect_needed"
    assert oauth_server.count("refresh_token") == 1


def test_r30_connecting_anew_lets_it_go_on(token, account, connect, oauth_server):
    oauth_server.revoke_everything()
    lives(seconds=-1)
    fails(account)
    connect(account)
    assert not AccountHealth.objects.get(account=account).is_paused
    assert account.pk in health.due_account_ids(10)
    assert connections.imap_access(account).login.username == account.email


@pytest.mark.django_db(transaction=True)
def test_r30_eight_workers_ask_an_ended_consent_once(token, account, oauth_server):
    oauth_server.revoke_everything()
    lives(seconds=-1)
    start = threading.Barrier(WORKERS)

    def work():
        start.wait(20)
        return oauth_tokens.login_for(account.pk, "localhost")

    with ThreadPoolExecutor(WORKERS) as pool:
        errors = [in_thread(pool, work) for _ in range(WORKERS)]
        codes = {future.exception(30).code for future in errors}
    assert codes == {"oauth_reconnect_needed"}
    assert oauth_server.count("refresh_token") == 1


def test_r30_a_login_that_the_server_refuses_is_followed_by_a_refresh(token, account, oauth_server):
    health.record_failure(account.pk, AuthenticationFailed("[AUTHENTICATIONFAILED] Invalid credentials"))
    oauth_tokens.login_for(account.pk, "localhost")
    assert oauth_server.count("refresh_token") == 1
    health.record_failure(account.pk, AuthenticationFailed("no", code="imap-disabled"))
    oauth_tokens.login_for(account.pk, "localhost")
    assert oauth_server.count("refresh_token") == 1


def test_r30_r10_who_overslept_and_says_a_rotated_token_ends_no_consent(
    token, account, oauth_server, monkeypatch
):
    def oversleep(registration, refresh_token):
        leases.revoke([oauth_tokens.lease_name(account.pk)])
        raise GrantInvalid("rotated meanwhile")

    lives(minutes=4)
    monkeypatch.setattr(Registration, "refresh", oversleep)
    oauth_tokens.login_for(account.pk, "localhost")
    assert OAuthToken.objects.get().state == OAuthToken.State.ACTIVE


# --- a provider that is away ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ((503, {}, {}), "oauth_unavailable"),
        ((429, {"error": "rate_limited"}, {}), "oauth_unavailable"),
        ((200, {"token_type": "Bearer"}, {}), "oauth_unavailable"),
        ((302, {}, {"Location": "/userinfo"}), "oauth_unavailable"),
        ((401, {"error": "invalid_client"}, {}), "oauth_client_refused"),
    ],
)
def test_a_fault_of_the_provider_leaves_it_alone_for_a_while(
    token, account, make_account, connect, oauth_server, failure, code
):
    other = make_account(imap={"host": "localhost"})
    connect(other)
    lives(seconds=-1)
    oauth_server.failure = failure
    seen = len(oauth_server.requests)
    for one in (account, other, account):
        with pytest.raises(ProviderTryLater) as caught:
            oauth_tokens.login_for(one.pk, "localhost")
        assert caught.value.code == code
    assert len(oauth_server.requests) == seen + 1
    since = OAuthToken.objects.get(account=account).failing_since
    client = OAuthClient.objects.get()
    assert timedelta(seconds=20) < client.retry_at - timezone.now() < timedelta(seconds=31)
    assert set(OAuthToken.objects.values_list("state", flat=True)) == {OAuthToken.State.ACTIVE}
    OAuthClient.objects.update(retry_at=timezone.now())
    with pytest.raises(ProviderTryLater):
        oauth_tokens.login_for(account.pk, "localhost")
    client.refresh_from_db()
    assert client.retry_at - timezone.now() > timedelta(seconds=50)
    assert OAuthToken.objects.get(account=account).failing_since == since


def test_a_registration_entered_anew_is_tried_at_once(token, account, oauth_server, mail_administrator):
    lives(seconds=-1)
    oauth_server.failure = (401, {"error": "invalid_client"}, {})
    with pytest.raises(ProviderTryLater):
        oauth_tokens.login_for(account.pk, "localhost")
    oauth_server.failure = None
    oauth_consent.register_client(
        provider="google", client_id=oauth_server.client_id, secret=oauth_server.client_secret,
        by=mail_administrator,
    )  # fmt: skip
    assert oauth_tokens.login_for(account.pk, "localhost")


def test_a_refusal_of_one_token_holds_up_no_other(token, account, make_account, connect, oauth_server):
    other = make_account(imap={"host": "localhost"})
    connect(other)
    lives(seconds=-1)
    oauth_server.failure = (400, {"error": "invalid_scope"}, {})
    with pytest.raises(TryLater) as caught:
        oauth_tokens.login_for(account.pk, "localhost")
    assert caught.value.code == "oauth_refused"
    oauth_server.failure = None
    assert oauth_tokens.login_for(other.pk, "localhost")


def test_an_answer_beyond_all_measure_is_cut_off(token, account, oauth_server):
    lives(seconds=-1)
    oauth_server.failure = (200, {"access_token": "x" * 1_000_000}, {})
    with pytest.raises(ProviderTryLater) as caught:
        oauth_tokens.login_for(account.pk, "localhost")
    assert "answer_too_long" in caught.value.detail


# --- where a token may go, and where it must not be seen -----------------------------------------------


def test_t17_a_token_is_for_the_providers_own_servers_only(token, account, oauth_server):
    assert oauth_tokens.login_for(account.pk, "LOCALHOST.").username == account.email
    lives(seconds=-1)
    for host in ("127.0.0.1", "imap.boese.example", "localhost.boese.example", "loc alhost", ""):
        with pytest.raises(AccountNotReady) as caught:
            oauth_tokens.login_for(account.pk, host)
        assert caught.value.code == "oauth_host_not_allowed"
    assert oauth_server.count("refresh_token") == 0


def test_t17_t7_settings_that_lead_elsewhere_get_no_token(token, account):
    account.refresh_from_db()
    account.imap.host, account.smtp.host = "imap.boese.example", "smtp.boese.example"
    for access in (connections.imap_access, connections.smtp_access):
        with pytest.raises(AccountNotReady) as caught:
            access(account)
        assert caught.value.code == "oauth_host_not_allowed"


def test_an_account_that_is_not_connected_says_so(account):
    account.imap.authentication = "oauth"
    with pytest.raises(AccountNotReady) as caught:
        connections.imap_access(account)
    assert caught.value.code == "oauth_not_connected"


def test_i5_t9_tokens_and_secrets_are_seen_nowhere(
    account, connect, oauth_server, mail_administrator, client, caplog
):
    caplog.set_level(logging.DEBUG)
    token = connect(account)
    login = oauth_tokens.login_for(account.pk, "localhost")
    told = [repr(token), repr(login), repr(connections.imap_access(MailAccount.objects.get()))]
    for failure in ((400, {"error": "invalid_scope"}, {}), (503, {}, {}), None):
        if failure:
            echoed = said_refresh_tokens(oauth_server)[-1:] or [""]
            failure[1]["error_description"] = f"{echoed[0]} {oauth_server.client_secret}"
        OAuthClient.objects.update(retry_at=None)
        oauth_server.failure = failure
        lives(seconds=-1)
        try:
            oauth_tokens.login_for(account.pk, "localhost")
        except TryLater as error:
            told.append(f"{error!r} {error.detail} {error.__cause__!r}")
    oauth_server.revoke_everything()
    lives(seconds=-1)
    told.append(fails(MailAccount.objects.get()))
    client.force_login(mail_administrator)
    told += [
        client.get(reverse("mailaccounts:section", args=[account.pk, slug])).content.decode()
        for slug in ("imap", "smtp", "log")
    ]
    told += [str(list(model._base_manager.values())) for model in apps.get_models()]
    told.append(caplog.text)
    secrets = oauth_server.all_tokens() | {oauth_server.client_secret}
    secrets |= {fields[name] for _, fields in oauth_server.requests for name in fields if "verifier" in name}
    assert len(secrets) >= 6
    for secret in secrets:
        for form in (secret, base64.b64encode(secret.encode()).decode()):
            assert [form in text for text in told] == [False] * len(told)
