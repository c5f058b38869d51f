"""Retiring, reactivating, deleting, holding and resuming: pages that say what happens, and buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mailaccounts import health, services
from mailaccounts.models import MailAccount
from mailaccounts.views import AdministratorPage, accounts_crumb
from ui.views import ConfirmPage
from ui.views.base import Crumb
from ui.views.confirm import RefusedError


class _ConfirmAccount(AdministratorPage, ConfirmPage[MailAccount]):
    """A question about one account."""

    def get_queryset(self) -> QuerySet[MailAccount]:
        return MailAccount.objects.visible_to(self.user).select_related("imap", "smtp")

    def get_crumbs(self) -> list[Crumb]:
        return [*accounts_crumb(), (self.object.display_name, self.object.get_absolute_url())]


class RetireAccount(_ConfirmAccount):
    """Stop everything for the account (stilllegen)."""

    submit_label = _("Retire account")
    tone = "warn"
    is_danger = True

    def get_queryset(self) -> QuerySet[MailAccount]:
        return super().get_queryset().filter(retired_at__isnull=True)

    def get_heading(self) -> str:
        return gettext("Retire %(name)s") % {"name": self.object}

    def get_consequences(self) -> Sequence[str]:
        return (
            gettext("The account is no longer polled, answers nothing and sends nothing."),
            gettext("Its tickets, e-mails and settings stay. Nothing changes in the mailbox on the server."),
            gettext(
                "E-mails waiting in the outbox for this account stay there until it is reactivated "
                "or they are cancelled."
            ),
            gettext("It can be reactivated at any time; e-mails that arrive meanwhile are read in then."),
        )

    def perform(self, _form: BaseForm | None) -> str:
        services.retire_account(account=self.object, by=self.user)
        return gettext("%(name)s has been retired.") % {"name": self.object}


class ReactivateAccount(_ConfirmAccount):
    """Let a retired account work again."""

    submit_label = _("Reactivate account")

    def get_queryset(self) -> QuerySet[MailAccount]:
        return super().get_queryset().filter(retired_at__isnull=False)

    def get_heading(self) -> str:
        return gettext("Reactivate %(name)s") % {"name": self.object}

    def get_consequences(self) -> Sequence[str]:
        return (
            gettext("The account is polled again at once, with the settings it had."),
            gettext(
                "E-mails that arrived meanwhile are read in, from the date in the section Ticket system on."
            ),
        )

    def perform(self, _form: BaseForm | None) -> str:
        services.unretire(account=self.object, by=self.user)
        return gettext("%(name)s works again.") % {"name": self.object}


class DeleteAccount(_ConfirmAccount):
    """Delete an account that nothing hangs on."""

    submit_label = _("Delete account")
    tone = "warn"
    is_danger = True

    def get_heading(self) -> str:
        return gettext("Delete %(name)s") % {"name": self.object}

    def get_consequences(self) -> Sequence[str]:
        return (
            gettext(
                "The account is removed with its settings and its stored password. This cannot be undone."
            ),
            gettext(
                "It is possible only while no e-mail and no ticket hang on it. Nothing changes in "
                "the mailbox."
            ),
        )

    def perform(self, _form: BaseForm | None) -> str:
        name = str(self.object)
        try:
            services.delete_account(account=self.object, by=self.user)
        except services.AccountInUse:
            self.object = self.get_object()
            raise RefusedError(
                gettext(
                    "E-mails or tickets hang on this account, so it stays. Retire it instead: that "
                    "stops everything and keeps them."
                )
            ) from None
        return gettext("%(name)s has been deleted.") % {"name": name}

    def get_success_url(self) -> str:
        return reverse("mailaccounts:list")


class _AccountButton(AdministratorPage):
    """A button on the page of an account: does one thing and comes back."""

    message: str | Promise = ""
    act: Callable[..., None]

    def post(self, request: HttpRequest, *_args: Any, **kwargs: Any) -> HttpResponseBase:
        """Do it."""
        account = get_object_or_404(MailAccount.objects.visible_to(self.user), pk=kwargs["pk"])
        type(self).act(account=account, by=self.user)
        messages.success(request, str(self.message))
        return redirect(account)


class HoldAccount(_AccountButton):
    """Stop polling until somebody resumes it."""

    act = staticmethod(services.hold)
    message = _("Polling is on hold. E-mails wait on the server; sending goes on.")


class ResumeAccount(_AccountButton):
    """Poll again at once."""

    act = staticmethod(services.resume_polling)
    message = _("Polling goes on; the account is tried at once.")


class PollAll(AdministratorPage):
    """Let all accounts be polled now."""

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Make them due."""
        health.poll_soon()
        messages.success(request, gettext("All accounts are polled within the next seconds."))
        return redirect("mailaccounts:list")
