"""What tickets add to the page of an account: the tab *Ticketsystem*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from mailaccounts.models import MailAccount
from masterdata import roles
from tickets.models import TicketOptions
from tickets.options_form import TicketOptionsForm
from ui.sections import Section, account_sections

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def _may_edit(user: AbstractBaseUser | AnonymousUser, _account: MailAccount) -> bool:
    return roles.is_mail_administrator(user)


def _is_on(account: MailAccount) -> bool:
    # By the relation: lists join it in, so that no row costs a query.
    options: TicketOptions | None = getattr(account, "ticket_options", None)
    return options is not None and options.is_enabled


account_sections.register(
    Section(
        slug="tickets",
        label=_("Ticket system"),
        form=TicketOptionsForm,
        order=30,
        is_on=_is_on,
        may_edit=_may_edit,
        may_view=_may_edit,
    )
)
