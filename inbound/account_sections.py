"""What incoming mail adds to an account's page: the autoresponder's tab and the button *Jetzt abrufen*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from inbound import autoreply_text, cleanup, exclusion
from inbound.forms import AutoresponderForm
from inbound.models import AutoresponderOptions
from mailaccounts.models import MailAccount
from masterdata import roles
from tickets.backlog import backlog
from ui.sections import Action, Section, account_sections

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.http import HttpRequest


def _may_edit(user: AbstractBaseUser | AnonymousUser, _account: MailAccount) -> bool:
    return roles.is_mail_administrator(user)


def _may_poll(user: AbstractBaseUser | AnonymousUser, account: MailAccount) -> bool:
    return roles.is_mail_administrator(user) and not account.is_retired and hasattr(account, "imap")


def _is_on(account: MailAccount) -> bool:
    # By the relation: lists join it in, so that no row costs a query.
    options: AutoresponderOptions | None = getattr(account, "autoresponder", None)
    return options is not None and options.is_enabled


def _preview(request: HttpRequest, account: MailAccount) -> dict[str, Any]:
    form = AutoresponderForm(owner=account, user=request.user)
    shown = autoreply_text.preview(form.instance.subject, form.instance.html)
    return {**shown, "preview_url": reverse("inbound:autoresponder_preview", args=[account.pk])}


account_sections.register(
    Section(
        slug="autoresponder",
        label=_("Autoresponder"),
        form=AutoresponderForm,
        order=60,
        template="inbound/section_autoresponder.html",
        is_on=_is_on,
        may_edit=_may_edit,
        may_view=_may_edit,
        extra_context=_preview,
    )
)
account_sections.register_action(
    Action(
        slug="poll-now",
        label=_("Poll now"),
        icon="refresh",
        url=lambda account: reverse("inbound:poll_now", args=[account.pk]),
        order=20,
        may_use=_may_poll,
    )
)

backlog.register(
    count_excluded=exclusion.count_reopenable,
    reopen=exclusion.reopen_excluded,
    count_deletable=cleanup.count_deletable,
)
