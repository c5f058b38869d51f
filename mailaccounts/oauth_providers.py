"""Providers whose mailboxes are opened by OAuth: constants of their documentation, not of any form (T17).

A token is sent to the ``mail_hosts`` of its provider and to its endpoints, nowhere else. Neither environment
nor database can change that; tests put a provider of their own into :data:`PROVIDERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailaccounts.oauth_models import OAuthClient


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. ``mail_scopes`` must be granted for IMAP and SMTP; ``identity_scopes`` name the mailbox.

    ``identity_claim``: the claim of the ID token that holds the address (OpenID Connect Core §5.1).
    ``revocation_url`` is "" where there is none (RFC 7009). ``parameters`` are further ones of the
    authorisation request.
    """

    authorisation_url: str
    token_url: str
    revocation_url: str
    mail_scopes: tuple[str, ...]
    identity_scopes: tuple[str, ...]
    identity_claim: str
    mail_hosts: frozenset[str]
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """All scopes as a request lists them."""
        return " ".join((*self.identity_scopes, *self.mail_scopes))


PROVIDERS: dict[str, Provider] = {
    # https://developers.google.com/identity/protocols/oauth2/web-server and /gmail/imap/xoauth2-protocol
    OAuthClient.Provider.GOOGLE: Provider(
        authorisation_url="https://accounts.google.com/o/oauth2/v2/auth",
        token_url="https://oauth2.googleapis.com/token",  # noqa: S106  # an address
        revocation_url="https://oauth2.googleapis.com/revoke",
        mail_scopes=("https://mail.google.com/",),
        identity_scopes=("openid", "email"),
        identity_claim="email",
        mail_hosts=frozenset({"imap.gmail.com", "smtp.gmail.com"}),
        parameters={"access_type": "offline", "prompt": "consent"},
    ),
    # https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
    OAuthClient.Provider.MICROSOFT: Provider(
        authorisation_url="https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        token_url="https://login.microsoftonline.com/common/oauth2/v2.0/token",  # noqa: S106  # an address
        revocation_url="",
        mail_scopes=(
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://outlook.office.com/SMTP.Send",
        ),
        identity_scopes=("openid", "email", "profile", "offline_access"),
        identity_claim="preferred_username",
        mail_hosts=frozenset({"outlook.office365.com", "smtp.office365.com"}),
    ),
}
