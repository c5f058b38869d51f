"""Asking for tests of settings, saved or not.

The settings travel to the worker in an encrypted, short-lived row, never through the broker. A stored
password is only used for the very server it was entered for (T7).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from jobs.wake import wake_on_commit
from mailaccounts import credentials
from mailaccounts.connections import ImapAccess, imap_access, imap_endpoint
from mailaccounts.errors import AccountNotReady
from mailaccounts.models import ConnectionTest, ImapSettings, MailAccount
from mailaccounts.unlocking import imap_password_targets
from mailkit.endpoint import PasswordLogin
from mailkit.imap import ImapEndpoint

if TYPE_CHECKING:
    from celery import Task
    from django.contrib.auth.models import AbstractBaseUser

PER_MINUTE = 5
STALLED_AFTER = timedelta(seconds=120)
_FORGET_AFTER = timedelta(hours=1)
# Test mails may arrive late; until then their Message-ID keeps them from becoming tickets.
_FORGET_MAILS_AFTER = timedelta(days=30)


class TooManyTests(Exception):
    """The user has started five tests within a minute (W10)."""


class PasswordNeeded(Exception):
    """No password was entered, and none is stored for exactly this server and user name (T7)."""


def start_imap_test(
    *,
    task: Task[Any, Any],
    kind: ConnectionTest.Kind,
    account: MailAccount | None,
    settings: ImapSettings,
    password: str,
    by: AbstractBaseUser,
) -> ConnectionTest:
    """Test ``settings``, which need not be saved; ``password`` "" means the stored one.

    Raises :class:`TooManyTests` and :class:`PasswordNeeded`.
    """
    if not password and not _stored_password_serves(account, settings):
        raise PasswordNeeded
    fields = {name: getattr(settings, name) for name in ("host", "port", "security", "username", "folders")}
    return _start(task, kind, account, fields | {"password": password}, by)


def start_mail_test(*, task: Task[Any, Any], account: MailAccount, by: AbstractBaseUser) -> ConnectionTest:
    """Send a test mail to the account itself through its saved settings. Raises :class:`TooManyTests`."""
    return _start(task, ConnectionTest.Kind.SMTP, account, {}, by)


def claim(test_uuid: str) -> tuple[ConnectionTest, dict[str, Any]] | None:
    """Take the test and its parameters; None when it was taken before (redelivered tasks do nothing).

    The parameters are erased in the same statement that takes the test.
    """
    test = (
        ConnectionTest.objects.select_related("account__imap", "account__smtp").filter(uuid=test_uuid).first()
    )
    if test is None or not test.parameters_encrypted:
        return None
    sealed = test.parameters_encrypted
    taken = ConnectionTest.objects.filter(pk=test.pk, parameters_encrypted=sealed).update(
        parameters_encrypted=""
    )
    if not taken:
        return None
    plain = credentials.decrypt(sealed, purpose=credentials.TEST_PARAMETERS, row_uuid=test.uuid)
    parameters: dict[str, Any] = json.loads(plain)
    return test, parameters


def access_of(test: ConnectionTest, parameters: dict[str, Any]) -> ImapAccess:
    """The way to the server that the parameters name. Raises :class:`MailError`."""
    endpoint = endpoint_of(parameters)
    if parameters["password"]:
        return ImapAccess(endpoint, PasswordLogin(parameters["username"], parameters["password"]))
    # Settings and password may have changed since the test was asked for (T7).
    if test.account is None or not _stored_password_serves(test.account, _settings_of(parameters)):
        raise AccountNotReady(endpoint.host, code="password_missing")
    return ImapAccess(endpoint, imap_access(test.account).login)


def endpoint_of(parameters: dict[str, Any]) -> ImapEndpoint:
    """The server that the parameters name."""
    return imap_endpoint(_settings_of(parameters))


def forget_old() -> int:
    """Delete tests that nobody looks at any more; return how many."""
    now = timezone.now()
    old = ConnectionTest.objects.filter(started_at__lt=now - _FORGET_AFTER, message_id="")
    mails = ConnectionTest.objects.filter(started_at__lt=now - _FORGET_MAILS_AFTER)
    return old.delete()[0] + mails.delete()[0]


def _settings_of(parameters: dict[str, Any]) -> ImapSettings:
    return ImapSettings(**{name: parameters[name] for name in ("host", "port", "security", "username")})


def _start(
    task: Task[Any, Any],
    kind: ConnectionTest.Kind,
    account: MailAccount | None,
    parameters: dict[str, Any],
    by: AbstractBaseUser,
) -> ConnectionTest:
    since = timezone.now() - timedelta(minutes=1)
    if ConnectionTest.objects.filter(started_by_id=by.pk, started_at__gte=since).count() >= PER_MINUTE:
        raise TooManyTests
    test = ConnectionTest(kind=kind, account=account, started_by_id=by.pk)
    test.parameters_encrypted = credentials.encrypt(
        json.dumps(parameters), purpose=credentials.TEST_PARAMETERS, row_uuid=test.uuid
    )
    with transaction.atomic():
        test.save()
        wake_on_commit(task, str(test.uuid))
    return test


def _stored_password_serves(account: MailAccount | None, settings: ImapSettings) -> bool:
    """Whether the account's stored password was entered for exactly this server, protection and user name."""
    stored: ImapSettings | None = getattr(account, "imap", None)
    if stored is None or not stored.password_encrypted:
        return False
    return imap_password_targets(settings, None) == imap_password_targets(stored, None)
