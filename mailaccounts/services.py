"""Changing accounts, each change audited, and fencing off work that runs under the old settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from audit import services as audit
from jobs import leases
from mailaccounts import credentials, health
from mailaccounts.models import FurtherSender, ImapSettings, MailAccount, MailAccountEmployee, SmtpSettings

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from masterdata.models import Employee


class AccountInUse(Exception):
    """Mail, tickets or other records hang on the account: it can be retired, not deleted."""


def after_settings_change(account: MailAccount) -> None:
    """Make sure that nothing goes on under the old settings, and that the new ones are tried at once (R39).

    Revokes the leases of a running poll and a sending session, so that their next commit is refused, and
    lifts a pause. Call it inside the transaction of the change.
    """
    leases.revoke(account.lease_names)
    if hasattr(account, "imap"):
        health.resume(account)


def lock_account(account_id: int) -> MailAccount:
    """The account with its settings as they are stored now, locked against other saves until the commit.

    A form decides over passwords by what it has read; another save in between must not slip past that (T7).
    Call it inside a transaction.
    """
    MailAccount.objects.select_for_update(of=("self",)).get(pk=account_id)
    # Read after the lock is held: the locking statement itself would join rows from before it waited.
    return MailAccount.objects.select_related("imap", "smtp").get(pk=account_id)


def store_imap_password(imap: ImapSettings, plain: str) -> None:
    """Set (or, with ``""``, erase) the password on the instance; the caller saves it."""
    _store_password(imap, plain, credentials.IMAP_PASSWORD)


def store_smtp_password(smtp: SmtpSettings, plain: str) -> None:
    """Set (or, with ``""``, erase) SMTP's own password on the instance; the caller saves it."""
    _store_password(smtp, plain, credentials.SMTP_PASSWORD)


def make_standard(account: MailAccount, *, is_standard: bool) -> None:
    """Make the account the one that carries mail nobody else carries, or stop it from being so.

    There is one at most: the account that was it before is released. Call it inside a transaction.
    """
    if is_standard:
        MailAccount.objects.filter(is_standard=True).exclude(pk=account.pk).update(is_standard=False)
    MailAccount.objects.filter(pk=account.pk).update(is_standard=is_standard)
    account.is_standard = is_standard


def set_further_senders(account: MailAccount, patterns: Iterable[str]) -> None:
    """Replace the further senders by ``patterns`` (``name@domain`` or ``@domain``, lower case)."""
    wanted = set(patterns)
    account.further_senders.exclude(pattern__in=wanted).delete()
    rows = [FurtherSender(account=account, pattern=pattern) for pattern in sorted(wanted)]
    FurtherSender.objects.bulk_create(rows, ignore_conflicts=True)


def set_employees(account: MailAccount, employees: Iterable[Employee]) -> None:
    """Replace the employees whose account this is, or who may send from it."""
    wanted = {employee.pk for employee in employees}
    account.employee_links.exclude(employee__in=wanted).delete()
    rows = [MailAccountEmployee(account=account, employee_id=pk) for pk in sorted(wanted)]
    MailAccountEmployee.objects.bulk_create(rows, ignore_conflicts=True)


def retire_account(*, account: MailAccount, by: AbstractBaseUser) -> None:
    """Stop everything for the account and keep its mail (stilllegen). Without effect on a retired one."""
    with transaction.atomic():
        retired = MailAccount.objects.active().filter(pk=account.pk).update(retired_at=timezone.now())
        if retired:
            audit.record(action="account.retired", obj=account, by=by)
            leases.revoke(account.lease_names)
    account.refresh_from_db()


def unretire(*, account: MailAccount, by: AbstractBaseUser) -> None:
    """Let a retired account work again."""
    with transaction.atomic():
        revived = MailAccount.objects.filter(pk=account.pk, retired_at__isnull=False).update(retired_at=None)
        if revived:
            audit.record(action="account.reactivated", obj=account, by=by)
            after_settings_change(account)
    account.refresh_from_db()


def hold(*, account: MailAccount, by: AbstractBaseUser) -> None:
    """Stop polling until somebody resumes it (anhalten); sending goes on."""
    with transaction.atomic():
        held = MailAccount.objects.filter(pk=account.pk, on_hold_since=None).update(
            on_hold_since=timezone.now()
        )
        if held:
            audit.record(action="account.held", obj=account, by=by)
            leases.revoke([account.lease_name])
    account.refresh_from_db()


def resume_polling(*, account: MailAccount, by: AbstractBaseUser) -> None:
    """End a hold, or a pause after refused logins, and poll at once."""
    with transaction.atomic():
        MailAccount.objects.filter(pk=account.pk).update(on_hold_since=None)
        audit.record(action="account.resumed", obj=account, by=by)
        after_settings_change(account)
    account.refresh_from_db()


def delete_account(*, account: MailAccount, by: AbstractBaseUser) -> None:
    """Delete an account that nothing hangs on. Raises :class:`AccountInUse`."""
    try:
        with transaction.atomic():
            audit.record(action="account.deleted", obj=account, by=by)
            leases.revoke(account.lease_names)
            account.delete()
    except ProtectedError as error:
        raise AccountInUse(account.email) from error


def _store_password(row: ImapSettings | SmtpSettings, plain: str, purpose: str) -> None:
    row.password_encrypted = credentials.encrypt(plain, purpose=purpose, row_uuid=row.uuid) if plain else ""
    row.password_changed_at = timezone.now() if plain else None
