"""Secrets at rest: AES-256-GCM, the key outside the database, a ciphertext bound to its row and field (W4).

Stored form: ``kid:nonce:ciphertext``, the last two in base64url. The associated data is the purpose
(model.field) and the row's own UUID, so that a ciphertext copied to another row or field does not open.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from mailkit.errors import MailError

IMAP_PASSWORD = "mailaccounts.imapsettings.password"  # noqa: S105  # the name of a field, no secret
SMTP_PASSWORD = "mailaccounts.smtpsettings.password"  # noqa: S105  # the name of a field, no secret
TEST_PARAMETERS = "mailaccounts.connectiontest.parameters"
OAUTH_CLIENT_SECRET = "mailaccounts.oauthclient.secret"  # noqa: S105  # the name of a field, no secret
OAUTH_REFRESH_TOKEN = "mailaccounts.oauthtoken.refresh_token"  # noqa: S105  # the name of a field, no secret
OAUTH_ACCESS_TOKEN = "mailaccounts.oauthtoken.access_token"  # noqa: S105  # the name of a field, no secret
OAUTH_CODE_VERIFIER = "mailaccounts.oauthauthorisation.code_verifier"

KEY_BYTES = 32
_NONCE_BYTES = 12


class CredentialUnreadable(MailError):
    """The stored secret does not open: its key is missing, or the ciphertext belongs elsewhere."""

    code = "credential_unreadable"


class InvalidKey(ValueError):
    """An entry of ``MAIL_KEYS`` that is no key. The message names the position or the kid, never the key."""


def encrypt(plain: str, *, purpose: str, row_uuid: UUID) -> str:
    """Encrypt ``plain`` under the newest key for one field of one row.

    Raises :class:`CredentialUnreadable` where the environment holds no usable key.
    """
    ring = _usable_ring()
    kid, key = next(iter(ring.items()))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = key.encrypt(nonce, plain.encode("utf-8"), _associated(purpose, row_uuid))
    return f"{kid}:{_to_text(nonce)}:{_to_text(sealed)}"


def decrypt(stored: str, *, purpose: str, row_uuid: UUID) -> str:
    """Open what :func:`encrypt` made for the same field of the same row.

    Raises :class:`CredentialUnreadable`; its detail names the missing key's kid, never a secret.
    """
    kid, nonce, sealed = _split(stored)
    key = _usable_ring().get(kid)
    if key is None:
        raise CredentialUnreadable(f"key {kid} is not in MAIL_KEYS")
    try:
        return key.decrypt(nonce, sealed, _associated(purpose, row_uuid)).decode("utf-8")
    except (InvalidTag, UnicodeDecodeError, ValueError):
        raise CredentialUnreadable("the ciphertext does not belong here or was changed") from None


def needs_rotation(stored: str) -> bool:
    """Whether ``stored`` is under any key but the newest."""
    return bool(stored) and stored.partition(":")[0] != newest_kid()


def newest_kid() -> str:
    """The kid that :func:`encrypt` uses. Raises :class:`CredentialUnreadable` without keys."""
    return next(iter(_usable_ring()))


def known_kids() -> list[str]:
    """Kids of all keys in the environment, newest first."""
    return list(_usable_ring())


def new_key(kid: str) -> str:
    """Make a random entry for ``MAIL_KEYS``. Raises :class:`InvalidKey` where ``kid`` cannot be stored."""
    entry = f"{kid}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode('ascii')}"
    parse_keys([entry])
    return entry


def parse_keys(entries: Sequence[str]) -> dict[str, bytes]:
    """Read ``kid:base64(32 bytes)`` entries, newest first. Raises :class:`InvalidKey` at a bad one."""
    keys: dict[str, bytes] = {}
    for position, entry in enumerate(entries, start=1):
        kid, key = _parse_key(entry, position)
        if kid in keys:
            raise InvalidKey(f"MAIL_KEYS names the key {kid!r} twice")
        keys[kid] = key
    return keys


def _parse_key(entry: str, position: int) -> tuple[str, bytes]:
    kid, colon, encoded = entry.partition(":")
    if not colon or not kid.isascii() or not kid.replace("-", "").replace("_", "").isalnum():
        raise InvalidKey(f"entry {position} of MAIL_KEYS is not kid:key")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise InvalidKey(f"the key {kid!r} in MAIL_KEYS is not base64") from None
    if len(key) != KEY_BYTES:
        raise InvalidKey(f"the key {kid!r} in MAIL_KEYS has {len(key)} bytes instead of {KEY_BYTES}")
    return kid, key


def _usable_ring() -> dict[str, AESGCM]:
    try:
        ring = _ring(tuple(settings.MAIL_KEYS))
    except InvalidKey as error:
        raise CredentialUnreadable(str(error)) from None
    if not ring:
        raise CredentialUnreadable("MAIL_KEYS is empty")
    return ring


@lru_cache(maxsize=4)
def _ring(entries: tuple[str, ...]) -> dict[str, AESGCM]:
    return {kid: AESGCM(key) for kid, key in parse_keys(entries).items()}


def _associated(purpose: str, row_uuid: UUID) -> bytes:
    return purpose.encode("ascii") + b"\0" + row_uuid.bytes


def _split(stored: str) -> tuple[str, bytes, bytes]:
    parts = stored.split(":")
    if len(parts) != 3:
        raise CredentialUnreadable("not a ciphertext")
    try:
        return parts[0], _from_text(parts[1]), _from_text(parts[2])
    except (binascii.Error, ValueError):
        raise CredentialUnreadable("not a ciphertext") from None


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _from_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
