"""The room's entry in the left navigation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from inbound.selectors import quarantine_count
from masterdata import roles
from ui.navigation import Count, NavItem, register

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def _count(_user: AbstractBaseUser | AnonymousUser) -> Count | None:
    waiting = quarantine_count()
    return (waiting, "warn") if waiting else None


register(
    NavItem(
        label=_("Quarantine"),
        icon="shield",
        url_name="inbound:quarantine",
        group="mail",
        order=60,
        may_see=roles.is_mail_administrator,
        count=_count,
        count_label=_("to check"),
    )
)
