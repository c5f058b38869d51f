"""The tabs of an account that this room owns; other rooms register theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mailaccounts.forms.employees import EmployeesForm
from mailaccounts.forms.imap import ImapForm
from mailaccounts.forms.log import LogForm
from mailaccounts.forms.smtp import SmtpForm
from mailaccounts.models import MailAccount
from mailaccounts.section_contexts import imap_context, log_context, smtp_context
from masterdata import roles
from ui.sections import Action, Section, account_sections

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def _may_edit(user: AbstractBaseUser | AnonymousUser, _account: Any) -> bool:
    return roles.is_mail_administrator(user)


def _never(_user: AbstractBaseUser | AnonymousUser, _account: Any) -> bool:
    return False


def _receives(account: MailAccount) -> bool:
    return hasattr(account, "imap")


def _sends(account: MailAccount) -> bool:
    return hasattr(account, "smtp") and account.smtp.is_enabled


def _is_paused(account: MailAccount) -> bool:
    return hasattr(account, "health") and account.health.is_paused


def _may_hold(user: AbstractBaseUser | AnonymousUser, account: MailAccount) -> bool:
    polls = _receives(account) and not account.is_retired and not _is_paused(account)
    return polls and account.on_hold_since is None and roles.is_mail_administrator(user)


def _may_resume(user: AbstractBaseUser | AnonymousUser, account: MailAccount) -> bool:
    rests = account.on_hold_since is not None or _is_paused(account)
    return rests and not account.is_retired and roles.is_mail_administrator(user)


account_sections.register(
    Section(
        slug="imap",
        label=_("IMAP"),
        form=ImapForm,
        order=10,
        template="mailaccounts/section_imap.html",
        is_on=_receives,
        may_edit=_may_edit,
        extra_context=imap_context,
        secrets={"password"},
    )
)
account_sections.register(
    Section(
        slug="smtp",
        label=_("SMTP"),
        form=SmtpForm,
        order=20,
        template="mailaccounts/section_smtp.html",
        is_on=_sends,
        may_edit=_may_edit,
        extra_context=smtp_context,
        secrets={"password", "account_password"},
    )
)
account_sections.register(
    Section(slug="employees", label=_("Employees"), form=EmployeesForm, order=50, may_edit=_may_edit)
)
account_sections.register(
    Section(
        slug="log",
        label=_("Log"),
        form=LogForm,
        order=90,
        template="mailaccounts/section_log.html",
        may_edit=_never,
        may_view=_may_edit,
        extra_context=log_context,
    )
)
account_sections.register_action(
    Action(
        slug="hold",
        label=_("Hold"),
        icon="pause",
        url=lambda account: reverse("mailaccounts:hold", args=[account.pk]),
        order=60,
        may_use=_may_hold,
    )
)
account_sections.register_action(
    Action(
        slug="resume",
        label=_("Resume"),
        icon="refresh",
        url=lambda account: reverse("mailaccounts:resume", args=[account.pk]),
        order=60,
        may_use=_may_resume,
    )
)
