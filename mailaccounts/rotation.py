"""Bringing stored secrets under the newest key.

Each secret is replaced by compare-and-set: one that changed meanwhile (a new password, a refreshed
token) is newer than what was read, and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from mailaccounts import credentials
from mailaccounts.credentials import CredentialUnreadable
from mailaccounts.models import ConnectionTest, ImapSettings, SmtpSettings
from mailaccounts.oauth_models import OAuthAuthorisation, OAuthClient, OAuthToken


@dataclass(frozen=True, slots=True)
class Secret:
    """Where one secret is stored, and under which purpose."""

    model: type[ImapSettings | SmtpSettings | ConnectionTest | OAuthClient | OAuthToken | OAuthAuthorisation]
    column: str
    purpose: str


SECRETS = (
    Secret(ImapSettings, "password_encrypted", credentials.IMAP_PASSWORD),
    Secret(SmtpSettings, "password_encrypted", credentials.SMTP_PASSWORD),
    Secret(ConnectionTest, "parameters_encrypted", credentials.TEST_PARAMETERS),
    Secret(OAuthClient, "secret_encrypted", credentials.OAUTH_CLIENT_SECRET),
    Secret(OAuthToken, "refresh_token_encrypted", credentials.OAUTH_REFRESH_TOKEN),
    Secret(OAuthToken, "access_token_encrypted", credentials.OAUTH_ACCESS_TOKEN),
    Secret(OAuthAuthorisation, "code_verifier_encrypted", credentials.OAUTH_CODE_VERIFIER),
)


@dataclass(slots=True)
class Tally:
    """What a rotation came to. ``unreadable`` names rows whose key is missing."""

    current: int = 0
    rotated: int = 0
    changed_meanwhile: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate() -> Tally:
    """Re-encrypt every secret that is under an older key. Raises CredentialUnreadable without any key."""
    credentials.newest_kid()
    tally = Tally()
    for secret in SECRETS:
        for pk, row_uuid, stored in _stored(secret):
            _rotate_one(secret, pk, row_uuid, stored, tally)
    return tally


def verify() -> Tally:
    """Open every stored secret, whatever its key, and forget it again; ``current`` counts those that open."""
    tally = Tally()
    for secret in SECRETS:
        for pk, row_uuid, stored in _stored(secret):
            try:
                credentials.decrypt(stored, purpose=secret.purpose, row_uuid=row_uuid)
            except CredentialUnreadable as error:
                tally.unreadable.append(f"{secret.model.__name__} {pk}: {error.detail}")
            else:
                tally.current += 1
    return tally


def kids_in_use() -> set[str]:
    """Names of the keys that stored secrets need."""
    return {stored.partition(":")[0] for secret in SECRETS for _pk, _uuid, stored in _stored(secret)}


def _stored(secret: Secret) -> Iterator[tuple[int, UUID, str]]:
    rows = secret.model.objects.exclude(**{secret.column: ""}).order_by("pk")
    return iter(rows.values_list("pk", "uuid", secret.column))


def _rotate_one(secret: Secret, pk: int, row_uuid: UUID, stored: str, tally: Tally) -> None:
    if not credentials.needs_rotation(stored):
        tally.current += 1
        return
    try:
        plain = credentials.decrypt(stored, purpose=secret.purpose, row_uuid=row_uuid)
    except CredentialUnreadable as error:
        tally.unreadable.append(f"{secret.model.__name__} {pk}: {error.detail}")
        return
    renewed = credentials.encrypt(plain, purpose=secret.purpose, row_uuid=row_uuid)
    rows = secret.model.objects.filter(pk=pk, **{secret.column: stored})
    if rows.update(**{secret.column: renewed}):
        tally.rotated += 1
    else:
        tally.changed_meanwhile += 1
