"""The entry of this room in the navigation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from mailaccounts.models import MailAccount
from masterdata import roles
from ui.navigation import Count, NavItem, register

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def may_see_accounts(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Administrators, and employees with a mailbox of their own."""
    return roles.is_mail_administrator(user) or MailAccount.objects.owned_by(user).exists()


def _failing(user: AbstractBaseUser | AnonymousUser) -> Count | None:
    accounts = MailAccount.objects.visible_to(user).active().filter(on_hold_since__isnull=True)
    count = accounts.filter(health__failing_since__isnull=False).count()
    return (count, "bad") if count else None


register(
    NavItem(
        label=_("E-mail accounts"),
        icon="at",
        url_name="mailaccounts:list",
        group="mail",
        order=60,
        may_see=may_see_accounts,
        count=_failing,
        count_label=_("with an error"),
    )
)
