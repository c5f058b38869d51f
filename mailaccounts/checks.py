"""Mistakes in the environment as findings of ``manage.py check``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from mailaccounts import credentials, rotation
from mailaccounts.connections import network_policy
from mailkit.errors import TlsFailed
from mailkit.tls import client_context

_SHORTEST_SECRET_KEY = 50
# A random key of 32 bytes has about 30 different ones; typed ones and patterns have few.
_FEWEST_BYTES = 12


@checks.register(checks.Tags.security)
def check_mail_environment(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001  # the signature of a check
    **_kwargs: Any,
) -> list[checks.CheckMessage]:
    """Keys, networks and authorities, each with what to do about it."""
    found: list[checks.CheckMessage] = []
    for look in _LOOKS:
        found.extend(look())
    return found


def _secret_key() -> list[checks.CheckMessage]:
    try:
        if len(settings.SECRET_KEY) >= _SHORTEST_SECRET_KEY:
            return []
    except ImproperlyConfigured:
        pass  # Django's word for an empty one
    hint = (
        "Put 50 random characters into SECRET_KEY: python -c 'import secrets; "
        "print(secrets.token_urlsafe(50))'"
    )
    return [checks.Error("SECRET_KEY is missing or too short.", hint=hint, id="mailaccounts.E001")]


def _mail_keys() -> list[checks.CheckMessage]:
    hint = "Make a key with manage.py generate_key and put it into MAIL_KEYS."
    if not settings.MAIL_KEYS:
        message = "MAIL_KEYS is empty: passwords of accounts cannot be stored."
        # No error: files of translations and migrations are made on machines that hold no keys.
        return [checks.Warning(message, hint=hint, id="mailaccounts.W002")]
    try:
        keys = credentials.parse_keys(settings.MAIL_KEYS)
    except credentials.InvalidKey as error:
        return [checks.Error(f"{error}.", hint=hint, id="mailaccounts.E003")]
    weak = [kid for kid, key in keys.items() if len(set(key)) < _FEWEST_BYTES or _is_secret_key(kid, key)]
    if weak:
        message = f"The key {weak[0]!r} in MAIL_KEYS can be guessed, or is SECRET_KEY again."
        return [checks.Error(message, hint=hint, id="mailaccounts.E006")]
    return []


def _is_secret_key(kid: str, key: bytes) -> bool:
    """Whether one secret would open both: SECRET_KEY in any of the forms a key is made of it."""
    entry = next(entry for entry in settings.MAIL_KEYS if entry.startswith(f"{kid}:"))
    encoded = entry.partition(":")[2]
    return encoded in settings.SECRET_KEY or key in settings.SECRET_KEY.encode()


@checks.register(checks.Tags.database)
def check_stored_keys(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """Whether every stored secret can be opened by a key of the environment (``--database default``)."""
    if not databases:
        return []
    try:
        known = set(credentials.known_kids())
    except credentials.CredentialUnreadable:
        known = set()  # the settings' own check says why
    try:
        missing = sorted(rotation.kids_in_use() - known)
    except DatabaseError:
        return []  # before the first migration there are no tables
    if not missing:
        return []
    return [
        checks.Warning(
            f"Stored passwords need keys that MAIL_KEYS does not hold: {', '.join(missing)}.",
            hint="Put them back behind the newest and run manage.py rotate_keys, or enter passwords anew.",
            id="mailaccounts.W007",
        )
    ]


def _networks() -> list[checks.CheckMessage]:
    try:
        policy = network_policy()
    except ValueError as error:
        hint = "Networks are written like 10.0.0.0/8; the words public and loopback stand for themselves."
        message = f"MAIL_ALLOWED_NETWORKS or MAIL_PLAINTEXT_NETWORKS cannot be read: {error}."
        return [checks.Error(message, hint=hint, id="mailaccounts.E004")]
    if policy.allow_loopback and settings.HTTPS:
        message = "MAIL_ALLOWED_NETWORKS lets accounts dial this machine itself."
        hint = "Remove loopback outside the demo, or use the transport “local mail program”."
        return [checks.Warning(message, hint=hint, id="mailaccounts.W001")]
    return []


def _authorities() -> list[checks.CheckMessage]:
    try:
        client_context(settings.MAIL_CA_FILE or None)
    except TlsFailed as error:
        hint = "MAIL_CA_FILE names a file of certificates in PEM form; leave it empty for public servers."
        return [
            checks.Error(f"MAIL_CA_FILE cannot be used: {error.detail}", hint=hint, id="mailaccounts.E005")
        ]
    return []


_LOOKS: tuple[Callable[[], list[checks.CheckMessage]], ...] = (
    _secret_key,
    _mail_keys,
    _networks,
    _authorities,
)
