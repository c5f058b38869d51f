"""Holding off a whole account: its server is away, says 421, or refuses the login (R26, R32).

Without it every new mail would knock again, and a provider would lock the account over a wrong password.
"""

from __future__ import annotations

import hashlib

from django.db.models import QuerySet
from django.utils import timezone

from mailaccounts.errors import AccountNotReady
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from mailkit.errors import AuthenticationFailed, MailError
from mailkit.imap_errors import is_temporary
from outbound.clock import retry_delay
from outbound.models import DeliveryThrottle

LOGIN_ATTEMPTS = 3


def hold_off(account: MailAccount, error: MailError) -> DeliveryThrottle:
    """The account failed once more: wait longer each time, or until a person changes the settings."""
    now = timezone.now()
    before = DeliveryThrottle.objects.filter(account=account).first()
    failures = before.failures + 1 if before else 1
    login_failures = (before.login_failures if before else 0) + _is_refused_login(error)
    throttle, _ = DeliveryThrottle.objects.update_or_create(
        account=account,
        defaults={
            "failing_since": before.failing_since if before else now,
            "failures": failures,
            "login_failures": login_failures,
            "retry_at": now + retry_delay(failures),
            "is_paused": login_failures >= LOGIN_ATTEMPTS or isinstance(error, AccountNotReady),
            "settings_fingerprint": settings_fingerprint(account),
            "error_code": error.code,
            "error_detail": error.detail,
        },
    )
    return throttle


def clear(account_ids: list[int]) -> None:
    """The server works again, or a person wants it tried at once."""
    DeliveryThrottle.objects.filter(account__in=account_ids).delete()


def is_held_off(account: MailAccount) -> bool:
    """Whether to leave the account alone for now; changed settings end that at once."""
    throttle = getattr(account, "delivery_throttle", None)
    if throttle is None or has_new_settings(account):
        return False
    return bool(throttle.is_paused or throttle.retry_at > timezone.now())


def has_new_settings(account: MailAccount) -> bool:
    """Whether the settings of a throttled account have changed since it last failed."""
    return account.delivery_throttle.settings_fingerprint != settings_fingerprint(account)


def sending_accounts() -> QuerySet[MailAccount]:
    """Accounts that may transport mail, with all that :func:`is_held_off` looks at."""
    accounts = MailAccount.objects.active().filter(smtp__is_enabled=True)
    return accounts.select_related("smtp", "imap", "delivery_throttle", "oauth_token")


def settings_fingerprint(account: MailAccount) -> str:
    """A digest of everything that decides whether a connection works; secrets enter encrypted."""
    smtp: SmtpSettings | None = getattr(account, "smtp", None)
    imap: ImapSettings | None = getattr(account, "imap", None)
    values = [
        *([smtp.transport, smtp.host, smtp.port, smtp.security, smtp.authentication] if smtp else []),
        *([smtp.has_own_login, smtp.username, smtp.password_encrypted, smtp.client_alias] if smtp else []),
        *([imap.username, imap.password_encrypted, *_consent(account, imap)] if imap else []),
    ]
    return hashlib.sha256(repr([str(value) for value in values]).encode()).hexdigest()


def _consent(account: MailAccount, imap: ImapSettings) -> list[object]:
    """When the consent to sign in by OAuth was given: a new one is as good as new settings (R30)."""
    if imap.authentication != ImapSettings.Authentication.OAUTH or not hasattr(account, "oauth_token"):
        return []
    return [account.oauth_token.consented_at]


def _is_refused_login(error: MailError) -> bool:
    return isinstance(error, AuthenticationFailed) and not is_temporary(error)
