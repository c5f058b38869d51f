"""Connecting an account with its provider: consent asked for, brought back, and withdrawn.

Who comes back with a code proves by ``state`` that they were sent away by us, in this session, as this user
and not long ago (RFC 6749 §10.12); the code is worth nothing without the PKCE verifier that never left
(RFC 7636).
Whether the user may do this to the account is the caller's to decide, before both halves.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db import transaction
from django.utils import timezone

from audit import services as audit
from jobs import leases
from mailaccounts import credentials, oauth_requests, oauth_tokens, services
from mailaccounts.models import ImapSettings, MailAccount
from mailaccounts.oauth_models import OAuthAuthorisation, OAuthClient, OAuthToken
from mailaccounts.oauth_providers import Provider
from mailaccounts.oauth_requests import Grant, GrantInvalid
from mailkit.addresses import normalise
from mailkit.errors import MailError

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

GOOD_FOR = timedelta(minutes=10)


class ConsentRefused(MailError):
    """Nothing was stored. ``code``: oauth_state_unknown, oauth_identity_differs, oauth_consent_incomplete.

    ``detail`` is the identity that was chosen, where it is another than the account's.
    """

    code = "oauth_consent_incomplete"


def register_client(*, provider: str, client_id: str, secret: str, by: AbstractBaseUser) -> OAuthClient:
    """Enter, or replace, this installation's registration with ``provider``; it is tried at once."""
    with transaction.atomic():
        client, _ = OAuthClient.objects.get_or_create(provider=provider)
        old, client.client_id = client.client_id, client_id
        client.secret_encrypted = credentials.encrypt(
            secret, purpose=credentials.OAUTH_CLIENT_SECRET, row_uuid=client.uuid
        )
        client.failures, client.retry_at, client.error_code, client.error_detail = 0, None, "", ""
        client.save()
        changes = {"client_id": [old, client_id], "secret": audit.SECRET}
        audit.record(action="oauth.client_registered", obj=client, by=by, changes=changes)
    return client


def begin_authorisation(
    *, account: MailAccount, provider: str, user: AbstractBaseUser, session_key: str, redirect_uri: str
) -> str:
    """Return the provider's URL to send the browser to; it comes back to ``redirect_uri``.

    Raises ProviderTryLater ``oauth_client_missing``.
    """
    registration = oauth_requests.registration(provider)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    row = OAuthAuthorisation(
        account=account,
        user_id=user.pk,
        provider=provider,
        state_digest=_digest(state),
        session_digest=_digest(session_key),
        redirect_uri=redirect_uri,
        started_at=timezone.now(),
    )
    row.code_verifier_encrypted = credentials.encrypt(
        verifier, purpose=credentials.OAUTH_CODE_VERIFIER, row_uuid=row.uuid
    )
    row.save()
    parameters = {
        "response_type": "code",
        "client_id": registration.client_id,
        "redirect_uri": redirect_uri,
        "scope": registration.provider.scope,
        "state": state,
        "code_challenge": _base64url(hashlib.sha256(verifier.encode("ascii")).digest()),
        "code_challenge_method": "S256",
        "login_hint": account.email,
        **registration.provider.parameters,
    }
    return f"{registration.provider.authorisation_url}?{urlencode(parameters)}"


def complete_authorisation(*, state: str, code: str, user: AbstractBaseUser, session_key: str) -> OAuthToken:
    """Redeem what the browser came back with, and let the account sign in by it from now on.

    Raises ConsentRefused, and OAuthFailed where the provider does not give the token. A state is good once,
    whatever comes of it.
    """
    started = _take(state, user, session_key)
    registration = oauth_requests.registration(started.provider)
    verifier = credentials.decrypt(
        started.code_verifier_encrypted, purpose=credentials.OAUTH_CODE_VERIFIER, row_uuid=started.uuid
    )
    try:
        grant = registration.exchange(code, verifier=verifier, redirect_uri=started.redirect_uri)
    except GrantInvalid:
        raise ConsentRefused(code="oauth_state_unknown") from None
    _require_complete(grant, registration.provider)
    identity = _identity(grant, registration)
    with transaction.atomic():
        account = services.lock_account(started.account_id)
        if not identity or normalise(identity) != normalise(account.email):
            # Not revoked: that would end the consent of another account that was given by the same identity.
            raise ConsentRefused(identity, code="oauth_identity_differs")
        token = _connect(account, started, grant, registration.provider)
        changes = {"provider": ["", token.provider], "identity": ["", token.identity]}
        audit.record(action="account.oauth_connected", obj=account, by=user, changes=changes)
    return token


def disconnect(*, account: MailAccount, by: AbstractBaseUser) -> bool:
    """Forget the account's tokens and withdraw the consent; False where the provider could not be told."""
    token = OAuthToken.objects.filter(account=account).first()
    if token is None:
        return False
    with transaction.atomic():
        OAuthToken.objects.filter(pk=token.pk).delete()
        leases.revoke([oauth_tokens.lease_name(account.pk)])
        audit.record(action="account.oauth_disconnected", obj=account, by=by)
        services.after_settings_change(account)
    try:
        refresh_token = oauth_tokens.refresh_token_of(token)
        return oauth_requests.registration(token.provider).revoke(refresh_token)
    except MailError:
        return False


def forget_old() -> int:
    """Delete consents that nobody came back with; return how many."""
    return OAuthAuthorisation.objects.filter(started_at__lt=timezone.now() - GOOD_FOR).delete()[0]


def _take(state: str, user: AbstractBaseUser, session_key: str) -> OAuthAuthorisation:
    """Only the right session can use the state up, so nobody else can spoil it."""
    row = OAuthAuthorisation.objects.filter(
        state_digest=_digest(state),
        session_digest=_digest(session_key),
        user=user.pk,
        started_at__gt=timezone.now() - GOOD_FOR,
    ).first()
    if row is None or not OAuthAuthorisation.objects.filter(uuid=row.uuid).delete()[0]:
        raise ConsentRefused(code="oauth_state_unknown")
    return row


def _require_complete(grant: Grant, provider: Provider) -> None:
    """Users can untick scopes. No ``scope`` in the answer means: all that was asked for (RFC 6749 §5.1)."""
    has_mail = not grant.scopes or grant.scopes >= set(provider.mail_scopes)
    if not has_mail or not grant.refresh_token:
        raise ConsentRefused


def _identity(grant: Grant, registration: oauth_requests.Registration) -> str:
    """The address that consented, "" where the ID token does not say or is another client's.

    It came from the provider itself, over TLS: its signature adds nothing (OpenID Connect Core §3.1.3.7, 6).
    """
    claims = _claims(grant.id_token)
    if claims.get("aud") != registration.client_id or claims.get("email_verified") is False:
        return ""
    return str(claims.get(registration.provider.identity_claim) or "")


def _connect(
    account: MailAccount, started: OAuthAuthorisation, grant: Grant, provider: Provider
) -> OAuthToken:
    now = timezone.now()
    token = OAuthToken.objects.filter(account=account).first() or OAuthToken(account=account)
    token.provider, token.identity = started.provider, account.email
    token.state, token.consented_at, token.consent_ends_at = OAuthToken.State.ACTIVE, now, None
    oauth_tokens.seal(token, grant, now=now)
    token.save()
    ImapSettings.objects.filter(account=account, host__in=provider.mail_hosts).update(
        authentication=ImapSettings.Authentication.OAUTH
    )
    leases.revoke([oauth_tokens.lease_name(account.pk)])
    services.after_settings_change(account)
    return token


def _claims(id_token: str) -> dict[str, Any]:
    payload = id_token.split(".")[1:2] or [""]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload[0] + "=" * (-len(payload[0]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
