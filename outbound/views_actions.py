"""What people do about mail in the outbox. Each action asks on GET and acts on POST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from outbound import presentation, services
from outbound.errors import OutboundError
from outbound.forms import SendAgainForm
from outbound.models import OutgoingMessage
from outbound.views import OutboxMixin
from ui import formatting
from ui.views import ConfirmPage
from ui.views.base import Crumb

MAX_BULK = 200
State = OutgoingMessage.State


class ActionPage(OutboxMixin, ConfirmPage[OutgoingMessage]):
    """One action on one mail; a refusal is shown in the words of its error."""

    object: OutgoingMessage
    refusals = (OutboundError,)

    def get_queryset(self) -> QuerySet[OutgoingMessage]:
        return presentation.with_everything(OutgoingMessage.objects.visible_to(self.user))

    def get_heading(self) -> str | Promise:
        return self.object.subject or _("(no subject)")

    def get_crumbs(self) -> list[Crumb]:
        return [(_("Outbox"), reverse("outbound:list")), (_("E-mail"), self.object.get_absolute_url())]

    def get_success_url(self) -> str:
        """Back to where the button was, else to the mail."""
        return self.get_next_url(self.object.get_absolute_url())


class Cancel(ActionPage):
    """*Abbrechen*."""

    submit_label = gettext_lazy("Cancel delivery")
    tone = "warn"
    is_danger = True

    def get_consequences(self) -> list[str]:
        return [_("The e-mail is not sent. It stays in the outbox as cancelled.")]

    def perform(self, _form: BaseForm | None) -> str:
        services.cancel(message=self.object, by=self.user)
        return _("The e-mail will not be sent.")


class TryNow(ActionPage):
    """*Jetzt versuchen*."""

    submit_label = gettext_lazy("Try now")

    def get_consequences(self) -> list[str]:
        return [_("The e-mail is tried at once instead of waiting for its next attempt.")]

    def perform(self, _form: BaseForm | None) -> str:
        services.try_now(message=self.object, by=self.user)
        return _("The e-mail is being tried now.")


class SendAgain(ActionPage):
    """*Erneut senden*: asks for a confirmation where the mail may have arrived."""

    submit_label = gettext_lazy("Send again")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self._prepare()
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self._prepare()
        return super().post(request, *args, **kwargs)

    def _prepare(self) -> None:
        is_uncertain = self.get_object().state == State.UNCERTAIN
        self.tone = "warn" if is_uncertain else "hint"

        def make(data: Any = None) -> SendAgainForm:
            return SendAgainForm(data=data, user=self.user, needs_confirmation=is_uncertain)

        self.form_class = make  # type: ignore[assignment]  # a form that knows user and mail

    def get_consequences(self) -> list[str]:
        lines = [_("The same e-mail goes out once more to those who have not received it.")]
        if self.object.state == State.UNCERTAIN:
            lines.append(
                _(
                    "The connection broke before the server answered: the recipient may have it already "
                    "and get it twice."
                )
            )
        return lines

    def perform(self, form: BaseForm | None) -> str:
        chosen = form.cleaned_data if form else {}
        services.send_again(
            message=self.object,
            by=self.user,
            account=chosen.get("account"),
            is_confirmed=bool(chosen.get("is_confirmed")),
        )
        return _("The e-mail is queued again.")


class Arrived(ActionPage):
    """*War angekommen*."""

    submit_label = gettext_lazy("It arrived")

    def get_consequences(self) -> list[str]:
        return [_("The e-mail counts as settled and is not sent again.")]

    def perform(self, _form: BaseForm | None) -> str:
        services.settle_as_arrived(message=self.object, by=self.user)
        return _("Noted: the e-mail arrived.")


class Dismiss(ActionPage):
    """*Erledigt*."""

    submit_label = gettext_lazy("Mark as done")

    def get_consequences(self) -> list[str]:
        return [_("The e-mail stays undelivered and no longer counts as open trouble.")]

    def perform(self, _form: BaseForm | None) -> str:
        services.dismiss(message=self.object, by=self.user)
        return _("Noted: nothing more is to be done.")


class CopyAgain(ActionPage):
    """*Erneut kopieren*."""

    submit_label = gettext_lazy("Copy again")

    def get_consequences(self) -> list[str]:
        return [_("The copy is placed in the Sent folder at once. The e-mail itself is not sent again.")]

    def perform(self, _form: BaseForm | None) -> str:
        services.copy_again(message=self.object, by=self.user)
        return _("The copy is being made.")


class Bulk(OutboxMixin):
    """The buttons above the list, for the ticked mails; each is decided by itself."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Act on every ticked mail the user may see, and say what came of it."""
        act = {"again": self._send_again, "cancel": self._cancel}.get(request.POST.get("action", ""))
        if act is not None:
            self._tell(*self._for_each(act))
        return redirect("outbound:list")

    def _for_each(self, act: Callable[[OutgoingMessage], None]) -> tuple[int, list[str]]:
        ids = [
            int(one)
            for one in self.request.POST.getlist("pick")[:MAX_BULK]
            if one.isdigit() and len(one) < 19
        ]
        done, refusals = 0, []
        for message in OutgoingMessage.objects.visible_to(self.user).filter(pk__in=ids).order_by("pk"):
            try:
                act(message)
                done += 1
            except OutboundError as error:
                refusals.append(f"{message.subject or _('(no subject)')}: {error}")
        return done, refusals

    def _send_again(self, message: OutgoingMessage) -> None:
        services.send_again(message=message, by=self.user)

    def _cancel(self, message: OutgoingMessage) -> None:
        services.cancel(message=message, by=self.user)

    def _tell(self, done: int, refusals: list[str]) -> None:
        text = ngettext("Done for %(count)s e-mail.", "Done for %(count)s e-mails.", done)
        if done:
            messages.success(self.request, text % {"count": formatting.number(done)})
        for refusal in refusals[:5]:
            messages.warning(self.request, refusal)
        if len(refusals) > 5:
            more = len(refusals) - 5
            rest = ngettext("and %(count)s more", "and %(count)s more", more)
            messages.warning(self.request, rest % {"count": formatting.number(more)})
