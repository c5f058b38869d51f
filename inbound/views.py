"""Pages of the quarantine, and "poll now" with its live result. Mail administrators only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from inbound import autoreply_text, quarantine
from inbound.forms import ReasonForm
from inbound.models import IncomingMessage, Mailbox, PollRun
from inbound.quarantine import QuarantineError
from inbound.reasons import Reason, explain
from inbound.selectors import Balance, ledger_balances
from inbound.tasks import poll_now
from inbound.wording import error_sentence
from jobs.wake import wake
from mailaccounts.models import MailAccount
from masterdata import roles
from ui import formatting
from ui.conditional import not_modified_or
from ui.csv_export import Column
from ui.views import Choices, ConfirmPage, ListPage, Option, PageMixin, Segments
from ui.views.base import Crumb

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.forms import BaseForm

State = IncomingMessage.State

MAX_BALANCES = 6
OVERDUE = timedelta(minutes=3)
"""A poll ends by itself within half a minute: after this nobody works on it."""

_OPEN = Q(state=State.QUARANTINED, discarded_at__isnull=True)
_SOLVED = ~Q(state=State.QUARANTINED)
_DISCARDED = Q(state=State.QUARANTINED, discarded_at__isnull=False)


class AdministratorsMixin(PageMixin):
    """For those who run the mailboxes."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return roles.is_mail_administrator(user)


class QuarantineMixin(AdministratorsMixin):
    """Pages about one message of the quarantine."""

    def get_crumbs(self) -> list[Crumb]:
        return [(_("Quarantine"), reverse("inbound:quarantine"))]


def _accounts(_request: HttpRequest) -> Iterable[tuple[int, str]]:
    return MailAccount.objects.filter(imap__isnull=False).values_list("pk", "display_name")


class QuarantineList(AdministratorsMixin, ListPage):
    """Messages that could not be processed, with cause and remedy, below the balance of their folders."""

    template_name = "inbound/quarantine.html"
    table_template = "inbound/_quarantine.html"
    heading = gettext_lazy("Quarantine")
    subheading = gettext_lazy("E-mails that could not be processed. Each original is kept unchanged.")
    sorts = {"since": ("quarantined_at", "id"), "size": ("size", "id"), "reason": ("reason", "id")}
    default_sort = "-since"
    search_fields = ("subject__icontains", "from_address__icontains")
    search_placeholder = gettext_lazy("Subject, sender")
    filters = (
        Segments(
            "state",
            gettext_lazy("State"),
            (
                Option("", gettext_lazy("Open"), _OPEN),
                Option("solved", gettext_lazy("Solved"), _SOLVED),
                Option("discarded", gettext_lazy("Discarded"), _DISCARDED),
            ),
            counts=True,
        ),
        Choices("account", gettext_lazy("Account"), gettext_lazy("All accounts"), _accounts, "account"),
    )
    csv_name = "quarantine"
    csv_columns = (
        Column(gettext_lazy("Subject"), lambda row: row.subject),
        Column(gettext_lazy("Sender"), lambda row: row.from_address),
        Column(gettext_lazy("Reason"), lambda row: str(explain(row.reason).label)),
        Column(gettext_lazy("Account"), lambda row: str(row.account)),
        Column(gettext_lazy("Folder"), lambda row: row.mailbox.name),
        Column("UID", lambda row: row.uid),
        Column(gettext_lazy("Size in bytes"), lambda row: row.size),
        Column(gettext_lazy("Since"), lambda row: row.quarantined_at),
    )
    refresh_seconds = 15
    empty_icon = "shield"
    empty_title = gettext_lazy("Nothing in quarantine")
    empty_text = gettext_lazy("Every e-mail could be processed. What fails will wait here with its original.")

    def get_queryset(self) -> QuerySet[IncomingMessage]:
        rows = IncomingMessage.objects.visible_to(self.user).filter(quarantined_at__isnull=False)
        return rows.select_related("account", "mailbox", "discarded_by", "ticket_message__ticket").annotate(
            has_original=F("raw_id")
        )

    def count_text(self, count: int) -> str:
        return ngettext("%(count)s e-mail", "%(count)s e-mails", count) % {"count": formatting.number(count)}

    def get_extra_rows_context(self, rows: list[Any]) -> dict[str, Any]:
        return {"entries": [_entry(row) for row in rows]}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(balances=self._balances(), **kwargs)

    def _balances(self) -> list[Balance]:
        """Folders of the chosen account; without one, those with something in quarantine."""
        boxes = Mailbox.objects.select_related("account").order_by("account__display_name", "name")
        chosen = self.request.GET.get("account", "")
        if chosen.isdigit():
            boxes = boxes.filter(account=int(chosen))
        else:
            boxes = boxes.filter(pk__in=IncomingMessage.objects.in_quarantine().values("mailbox"))
        shown = list(boxes[:MAX_BALANCES])
        return ledger_balances(shown) if shown else []


def _entry(row: IncomingMessage) -> dict[str, Any]:
    """What the table shows of a row besides its fields."""
    is_open = row.state == State.QUARANTINED and row.discarded_at is None
    return {
        "row": row,
        "explanation": explain(row.reason),
        "is_open": is_open,
        "may_read_anyway": row.reason in {Reason.LEFT_ON_SERVER, Reason.LOOP},
        "is_discarded": row.discarded_at is not None,
    }


class RowPage(QuarantineMixin, ConfirmPage[IncomingMessage]):
    """Asks before something is done with one message."""

    object: IncomingMessage
    refusals = (QuarantineError,)

    def get_queryset(self) -> QuerySet[IncomingMessage]:
        rows = IncomingMessage.objects.visible_to(self.user).filter(quarantined_at__isnull=False)
        return rows.select_related("mailbox", "account")

    def get_heading(self) -> str | Promise:
        return self.object.subject or _("(no subject)")


class Retry(RowPage):
    """Try again."""

    submit_label = gettext_lazy("Try again")

    def get_consequences(self) -> list[str]:
        return [_("The message is read once more from its original. If it succeeds, it becomes a ticket.")]

    def perform(self, _form: BaseForm | None) -> str:
        quarantine.retry(row=self.object, by=self.user)
        return _("The message is being tried again. It leaves this list once it has succeeded.")


class ReadAnyway(RowPage):
    """Import in spite of size or loop."""

    submit_label = gettext_lazy("Read it this once")

    def get_consequences(self) -> list[str]:
        size = formatting.size(self.object.size)
        return [
            _("The message (%(size)s) is read in spite of its reason and becomes a ticket.") % {"size": size}
        ]

    def perform(self, _form: BaseForm | None) -> str:
        quarantine.read_anyway(row=self.object, by=self.user)
        return _("The message is being fetched. It leaves this list once it has succeeded.")


class Discard(RowPage):
    """Put aside, with a reason."""

    submit_label = gettext_lazy("Discard")
    tone = "warn"
    is_danger = True
    form_class = ReasonForm

    def get_consequences(self) -> list[str]:
        return [_("The message becomes no ticket. Row and original are kept; nothing changes on the server.")]

    def perform(self, form: BaseForm | None) -> str:
        quarantine.discard(row=self.object, by=self.user, reason=form.cleaned_data["reason"] if form else "")
        return _("The message has been discarded.")


class Original(RowPage):
    """The emergency view of an original: a reason is asked for and recorded."""

    submit_label = gettext_lazy("Download the original")
    form_class = ReasonForm

    def get_consequences(self) -> list[str]:
        return [
            _("The content of e-mails is confidential. That you read this one is recorded with your reason.")
        ]

    def perform(self, form: BaseForm | None) -> HttpResponse:
        reason = form.cleaned_data["reason"] if form else ""
        content = quarantine.read_original(row=self.object, by=self.user, reason=reason)
        return _download(content, f"quarantine-{self.object.pk}.eml")


def _download(content: bytes, name: str) -> HttpResponse:
    """Never shown by the browser, whatever the content claims to be."""
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


class RetryAll(AdministratorsMixin):
    """The button above the list."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Try again what can be tried."""
        count = quarantine.retry_all(by=self.user)
        text = ngettext(
            "%(count)s e-mail is being tried again.", "%(count)s e-mails are being tried again.", count
        )
        messages.success(request, text % {"count": formatting.number(count)})
        return redirect("inbound:quarantine")


class PollNow(AdministratorsMixin):
    """*Jetzt abrufen*: the worker polls at once, the page of the run shows the result."""

    def post(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Start a run."""
        accounts = MailAccount.objects.visible_to(request.user).active().filter(imap__isnull=False)
        run = PollRun.objects.create(account=get_object_or_404(accounts, pk=pk), requested_by=self.user)
        wake(poll_now, run.pk)
        return redirect("inbound:poll_result", pk=run.pk)


class PollResult(AdministratorsMixin):
    """What a poll came to; refreshes itself until it is finished."""

    template_name = "inbound/poll_result.html"
    run: PollRun

    def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The page, or the live part of it."""
        accounts = MailAccount.objects.visible_to(request.user)
        self.run = get_object_or_404(
            PollRun.objects.select_related("account__imap"), pk=pk, account__in=accounts
        )
        if request.headers.get("HX-Request"):
            return not_modified_or(request, _rendered(self.render(template="inbound/_poll_result.html")))
        return self.render()

    def get_heading(self) -> str:
        return _("Poll now")

    def get_crumbs(self) -> list[Crumb]:
        account = self.run.account
        return [
            (_("E-mail accounts"), reverse("mailaccounts:list")),
            (str(account), account.get_absolute_url()),
        ]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        run = self.run
        error = (
            error_sentence(run.error_code, run.error_detail, host=run.account.imap.host)
            if run.error_code
            else ""
        )
        is_overdue = not run.finished_at and timezone.now() - run.requested_at > OVERDUE
        return super().get_context_data(
            run=run, error=error, numbers=_numbers(run), is_overdue=is_overdue, **kwargs
        )


def _rendered(response: HttpResponse) -> HttpResponse:
    render = getattr(response, "render", None)
    return render() if render else response


def _numbers(run: PollRun) -> list[tuple[str, int]]:
    labels = {
        "new": _("new"),
        "imported": _("imported"),
        "duplicate": _("duplicate"),
        "excluded": _("excluded"),
        "bounce": _("bounces"),
        "quarantined": _("in quarantine"),
        "deleted": _("deleted on the server"),
    }
    return [(label, int(run.report.get(name, 0))) for name, label in labels.items()]


class AutoresponderPreview(AdministratorsMixin):
    """The automatic answer as it would look, from unsaved form values."""

    template_name = "inbound/_autoresponder_preview.html"

    def post(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Render the posted subject and text with sample values."""
        get_object_or_404(MailAccount.objects.visible_to(request.user), pk=pk)
        shown = autoreply_text.preview(request.POST.get("subject", ""), request.POST.get("html", ""))
        return self.render(template=self.template_name, status=200, **shown)
