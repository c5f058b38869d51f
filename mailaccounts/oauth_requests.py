"""What is said to a provider's endpoints: a code, a refresh, a revocation (RFC 6749 §4.1.3, §6, RFC 7009).

::

    OAuthFailed
    ├── GrantInvalid           the consent or the code is no longer good: asking again is no use
    └── TryLater               this token cannot be had now
        └── ProviderTryLater   nobody's token can be had now: endpoint away or busy, registration refused
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from mailaccounts import credentials
from mailaccounts.oauth_models import OAuthClient
from mailaccounts.oauth_providers import PROVIDERS, Provider
from mailkit.errors import ConnectionFailed, MailError
from mailkit.https import HttpReply, HttpsClient
from mailkit.redaction import redact

# RFC 6749 §5.1 only recommends to tell how long a token lasts; both providers' last an hour.
_USUAL_LIFETIME = timedelta(hours=1)
_LONGEST_SECONDS = 10 * 366 * 86_400
_TIMEOUT_SECONDS = 10.0
_CLIENT_ERRORS = {"invalid_client", "unauthorized_client"}


class OAuthFailed(MailError):
    """The provider's endpoint did not give what was asked for."""

    code = "oauth_refused"


class GrantInvalid(OAuthFailed):
    """``invalid_grant``: password changed, access withdrawn, unused for months, code used before (R30)."""

    code = "oauth_reconnect_needed"


class TryLater(OAuthFailed):
    """A refusal that says nothing about the consent."""


class ProviderTryLater(TryLater):
    """Endpoint away or busy (``oauth_unavailable``), or registration refused (``oauth_client_refused``)."""

    code = "oauth_unavailable"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token endpoint gave; ``refresh_token`` "": the old one stays. No ``repr`` holds secrets."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    id_token: str = field(repr=False)
    lifetime: timedelta
    consent_lifetime: timedelta | None
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Registration:
    """This installation at one provider, as the endpoints want to see it."""

    provider: Provider
    client_id: str
    client_secret: str = field(repr=False)

    def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> Grant:
        """Redeem an authorisation code with its PKCE verifier (RFC 7636 §4.5). Raises OAuthFailed."""
        fields = {"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
        return self._ask("authorization_code", fields)

    def refresh(self, refresh_token: str) -> Grant:
        """Get a new access token. Raises OAuthFailed."""
        return self._ask("refresh_token", {"refresh_token": refresh_token})

    def revoke(self, refresh_token: str) -> bool:
        """Withdraw the consent at the provider; False where it has no way to, or does not answer."""
        if not self.provider.revocation_url:
            return False
        try:
            return _https().post_form(self.provider.revocation_url, {"token": refresh_token}).status == 200
        except ConnectionFailed:
            return False

    def _ask(self, grant_type: str, fields: dict[str, str]) -> Grant:
        credentials_ = {"client_id": self.client_id, "client_secret": self.client_secret}
        try:
            reply = _https().post_form(
                self.provider.token_url, {"grant_type": grant_type, **fields, **credentials_}
            )
        except ConnectionFailed as error:
            host = urlsplit(self.provider.token_url).hostname
            raise ProviderTryLater(f"{host}: {error.code} {error.detail}") from None
        if reply.status == 200:
            return _grant(reply.json())
        raise _failure(reply, [*fields.values(), self.client_secret])


def registration(provider: str) -> Registration:
    """Our registration with ``provider``. Raises ProviderTryLater ``oauth_client_missing``."""
    client = OAuthClient.objects.filter(provider=provider).first()
    if client is None or not client.secret_encrypted:
        raise ProviderTryLater(provider, code="oauth_client_missing")
    secret = credentials.decrypt(
        client.secret_encrypted, purpose=credentials.OAUTH_CLIENT_SECRET, row_uuid=client.uuid
    )
    return Registration(PROVIDERS[provider], client.client_id, secret)


def _https() -> HttpsClient:
    return HttpsClient(
        tuple(settings.MAIL_ALLOWED_NETWORKS), settings.MAIL_CA_FILE or None, timeout=_TIMEOUT_SECONDS
    )


def _grant(answer: dict[str, Any]) -> Grant:
    token = answer.get("access_token")
    if not isinstance(token, str) or not token or str(answer.get("token_type", "bearer")).lower() != "bearer":
        raise ProviderTryLater("an answer without an access token")
    return Grant(
        access_token=token,
        refresh_token=str(answer.get("refresh_token") or ""),
        id_token=str(answer.get("id_token") or ""),
        lifetime=_seconds(answer.get("expires_in")) or _USUAL_LIFETIME,
        consent_lifetime=_seconds(answer.get("refresh_token_expires_in")),
        scopes=frozenset(str(answer.get("scope") or "").split()),
    )


def _seconds(value: object) -> timedelta | None:
    try:
        seconds = int(str(value))
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 < seconds <= _LONGEST_SECONDS else None


def _failure(reply: HttpReply, secrets: list[str]) -> OAuthFailed:
    answer = reply.json()
    error = str(answer.get("error") or "")
    words = redact(f"{reply.status} {error} {answer.get('error_description') or ''}", secrets)
    if error == "invalid_grant":
        return GrantInvalid(words)
    if error in _CLIENT_ERRORS:
        return ProviderTryLater(words, code="oauth_client_refused")
    if 400 <= reply.status < 500 and error and reply.status != 429:
        return TryLater(words)
    return ProviderTryLater(words)
