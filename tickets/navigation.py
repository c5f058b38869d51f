"""The entry *Tickets* of the navigation, and *Queues* among the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from masterdata import roles
from tickets.access import works_tickets
from tickets.counts import open_total
from ui import navigation, settings_pages

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def _open(user: AbstractBaseUser | AnonymousUser) -> navigation.Count | None:
    number = open_total(user)
    return (number, "") if number else None


navigation.register(
    navigation.NavItem(
        label=_("Tickets"),
        icon="ticket",
        url_name="tickets:list",
        group="",
        order=20,
        may_see=works_tickets,
        count=_open,
        count_label=_("open"),
    )
)
settings_pages.register(
    settings_pages.SettingsPage(
        label=_("Queues"),
        description=_("Who reads and answers which tickets"),
        icon="ticket",
        url_name="tickets:queue_list",
        order=40,
        may_see=roles.is_mail_administrator,
    )
)
