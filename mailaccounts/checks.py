"""Mistakes in the environment as findings of ``manage.py check``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from mailaccounts import credentials
from mailaccounts.connections import network_policy
from mailkit.errors import TlsFailed
from mailkit.tls import client_context

_SHORTEST_SECRET_KEY = 50


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
        credentials.parse_keys(settings.MAIL_KEYS)
    except credentials.InvalidKey as error:
        return [checks.Error(f"{error}.", hint=hint, id="mailaccounts.E003")]
    return []


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
