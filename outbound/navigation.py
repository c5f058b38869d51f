"""The outbox in the left navigation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from outbound.selectors import may_see_outbox, needing_attention
from ui.navigation import Count, NavItem, register

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def _count(user: AbstractBaseUser | AnonymousUser) -> Count | None:
    waiting = needing_attention(user).count()
    return (waiting, "warn") if waiting else None


register(
    NavItem(
        label=_("Outbox"),
        icon="outbox",
        url_name="outbound:list",
        group="mail",
        order=40,
        may_see=may_see_outbox,
        count=_count,
        count_label=_("not delivered"),
    )
)
