"""Access tokens of accounts: used where they belong, refreshed ahead of expiry by one worker at a time (R31).

The refresh token in the database is replaced only when its successor is there to be saved, in one statement:
where the provider's reply is lost, the next attempt says the old one again. A refused consent
(``invalid_grant``) is said once; nobody asks again until the account is connected anew (R30).
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs import leases
from jobs.leases import HeldLease, LeaseLost
from mailaccounts import credentials, oauth_requests
from mailaccounts.errors import AccountNotReady
from mailaccounts.oauth_models import OAuthClient, OAuthToken
from mailaccounts.oauth_providers import PROVIDERS
from mailaccounts.oauth_requests import Grant, GrantInvalid, OAuthFailed, ProviderTryLater
from mailkit.bearer import BearerLogin
from mailkit.errors import AuthenticationFailed, InvalidArgument
from mailkit.network import ascii_host

logger = logging.getLogger(__name__)

REFRESH_AHEAD = timedelta(minutes=5)
# A token with less to live may be dead before a server reads it.
_LAST_USE = timedelta(seconds=15)
# Longer than an endpoint's answer can take.
_LEASE_TTL = timedelta(seconds=60)
_WAIT_SECONDS = 25.0
_LOOK_EVERY_SECONDS = 0.1
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=15)
_REFRESHED_FIELDS = (
    "access_token_encrypted", "refresh_token_encrypted", "consent_ends_at", "expires_at", "refreshed_at",
    "failing_since", "error_code",
)  # fmt: skip

State = OAuthToken.State


def login_for(account_id: int, host: str) -> BearerLogin:
    """The login of the account at its provider's server ``host``.

    Raises AccountNotReady: ``oauth_host_not_allowed`` for any other server (T17), ``oauth_not_connected``,
    ``oauth_reconnect_needed``; and OAuthFailed where no token can be had now.
    """
    token = _stored(account_id)
    if not _is_host_of(token, host):
        raise AccountNotReady(host, code="oauth_host_not_allowed")
    token = _usable(token)
    return BearerLogin(
        token.identity,
        credentials.decrypt(
            token.access_token_encrypted, purpose=credentials.OAUTH_ACCESS_TOKEN, row_uuid=token.uuid
        ),
    )


def note_refusal(account_id: int, error: AuthenticationFailed) -> None:
    """A server refused the login: the next one uses a new access token, or learns that consent is gone.

    Without effect on accounts that sign in by password.
    """
    if error.code == AuthenticationFailed.code:
        _active(account_id).update(expires_at=timezone.now())


def lease_name(account_id: int) -> str:
    """Name of the lease under which the account's token is refreshed; a new consent revokes it."""
    return f"oauth:{account_id}"


def seal(token: OAuthToken, grant: Grant, *, now: datetime) -> None:
    """Put what a provider gave into the row, encrypted; the caller saves it."""
    token.access_token_encrypted = credentials.encrypt(
        grant.access_token, purpose=credentials.OAUTH_ACCESS_TOKEN, row_uuid=token.uuid
    )
    if grant.refresh_token:
        token.refresh_token_encrypted = credentials.encrypt(
            grant.refresh_token, purpose=credentials.OAUTH_REFRESH_TOKEN, row_uuid=token.uuid
        )
    if grant.consent_lifetime:
        token.consent_ends_at = now + grant.consent_lifetime
    token.expires_at, token.refreshed_at = now + grant.lifetime, now
    token.failing_since, token.error_code = None, ""


def refresh_token_of(token: OAuthToken) -> str:
    """The refresh token in the clear. Raises ``CredentialUnreadable``."""
    return credentials.decrypt(
        token.refresh_token_encrypted, purpose=credentials.OAUTH_REFRESH_TOKEN, row_uuid=token.uuid
    )


def _usable(token: OAuthToken) -> OAuthToken:
    """The token, refreshed where it is about to expire. Whoever does not refresh waits for who does."""
    give_up_at = time.monotonic() + _WAIT_SECONDS
    while not _lives(token, REFRESH_AHEAD):
        lease = leases.acquire(lease_name(token.account_id), ttl=_LEASE_TTL)
        if lease:
            try:
                return _refreshed(token.account_id, lease)
            finally:
                leases.release(lease)
        if _lives(token, _LAST_USE):
            break
        if time.monotonic() > give_up_at:
            raise ProviderTryLater("another worker has been waiting for the provider")
        time.sleep(_LOOK_EVERY_SECONDS)
        token = _stored(token.account_id)
    return token


def _refreshed(account_id: int, lease: HeldLease) -> OAuthToken:
    # Read again: whoever held the lease before us may have refreshed it.
    token = _stored(account_id)
    if _lives(token, REFRESH_AHEAD):
        return token
    try:
        _require_no_pause(token.provider)
        grant = oauth_requests.registration(token.provider).refresh(refresh_token_of(token))
    except GrantInvalid as error:
        logger.warning("Account %s must be connected with its provider anew: %s", account_id, error.detail)
        return _write(token, lease, state=State.RECONNECT, error_code=error.code)
    except OAuthFailed as error:
        _note_failure(token, error)
        if _lives(token, _LAST_USE):
            return token
        raise
    return _save(token, grant, lease)


def _save(token: OAuthToken, grant: Grant, lease: HeldLease) -> OAuthToken:
    seal(token, grant, now=timezone.now())
    OAuthClient.objects.filter(provider=token.provider, failures__gt=0).update(
        failures=0, retry_at=None, error_code="", error_detail=""
    )
    return _write(token, lease, **{name: getattr(token, name) for name in _REFRESHED_FIELDS})


def _write(token: OAuthToken, lease: HeldLease, **changed: object) -> OAuthToken:
    """Write what the provider said and return the row as it is then; raise AccountNotReady if it has ended.

    Nothing is written when a newer holder of the lease, or a new consent, has come in between: a rotated
    token looks like an ended consent to whoever says it late.
    """
    with suppress(LeaseLost), transaction.atomic():
        leases.renew(lease)
        _mine(token).update(**changed)
    return _stored(token.account_id)


def _require_no_pause(provider: str) -> None:
    """Raise ProviderTryLater while the endpoint is left alone: its silence must not hold up every account."""
    now = timezone.now()
    client = OAuthClient.objects.filter(provider=provider, retry_at__gt=now).first()
    if client:
        raise ProviderTryLater(client.error_detail, code=client.error_code)


def _note_failure(token: OAuthToken, error: OAuthFailed) -> None:
    now = timezone.now()
    _mine(token).update(failing_since=Coalesce("failing_since", now), error_code=error.code)
    if not isinstance(error, ProviderTryLater):
        return
    client = OAuthClient.objects.filter(provider=token.provider).first()
    if client is None or (client.retry_at and client.retry_at > now):
        return
    pause = min(_FIRST_PAUSE * 2 ** min(client.failures, 10), _LONGEST_PAUSE)
    OAuthClient.objects.filter(pk=client.pk).update(
        failures=client.failures + 1,
        retry_at=now + pause,
        error_code=error.code,
        error_detail=error.detail,
    )
    logger.warning("The token endpoint of %s fails: %s", token.provider, error)


def _stored(account_id: int) -> OAuthToken:
    token = OAuthToken.objects.filter(account=account_id).first()
    if token is None:
        raise AccountNotReady(code="oauth_not_connected")
    if token.state == State.RECONNECT:
        raise AccountNotReady(token.identity, code="oauth_reconnect_needed")
    return token


def _is_host_of(token: OAuthToken, host: str) -> bool:
    try:
        return ascii_host(host) in PROVIDERS[token.provider].mail_hosts
    except InvalidArgument:
        return False


def _lives(token: OAuthToken, at_least: timedelta) -> bool:
    return token.expires_at - timezone.now() > at_least


def _active(account_id: int) -> QuerySet[OAuthToken]:
    return OAuthToken.objects.filter(account=account_id, state=State.ACTIVE)


def _mine(token: OAuthToken) -> QuerySet[OAuthToken]:
    """The row, while the consent that ``token`` was read with stands."""
    return OAuthToken.objects.filter(pk=token.pk, consented_at=token.consented_at)
