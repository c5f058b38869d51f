"""The outbox: every outgoing mail with its state, and one mail with its whole history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audit import services as audit
from mailaccounts.models import MailAccount
from mailkit.errors import MalformedMessage
from mailkit.parsing import parse_message
from masterdata import roles
from outbound import presentation, wording
from outbound.models import OutgoingMessage, Recipient
from outbound.selectors import may_read_content, may_see_outbox, needing_attention, owns_content
from ui import formatting
from ui.csv_export import Column
from ui.views import Choices, ListPage, Option, PageMixin, Segments
from ui.views.base import Crumb

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

State = OutgoingMessage.State
_OPEN = Q(state__in=[State.QUEUED, State.SENDING, State.DOT_SENT])
_FAILED = Q(state=State.FAILED) | Q(bounced_at__isnull=False)


class OutboxMixin(PageMixin):
    """For those who send; each sees what is theirs."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return may_see_outbox(user)


def _accounts(request: HttpRequest) -> Iterable[tuple[int, str]]:
    accounts = MailAccount.objects.filter(transported__isnull=False).distinct()
    if not roles.is_mail_administrator(request.user):
        accounts = accounts.filter(transported__in=OutgoingMessage.objects.visible_to(request.user))
    return accounts.order_by("display_name").values_list("pk", "display_name")


class OutboxList(OutboxMixin, ListPage):
    """Every outgoing mail the user may see, newest first, trouble explained where it happened."""

    template_name = "outbound/list.html"
    table_template = "outbound/_outbox.html"
    heading = gettext_lazy("Outbox")
    sorts = {"time": ("id",)}
    default_sort = "-time"
    search_placeholder = gettext_lazy("Recipient, subject")
    filters = (
        Segments(
            "state",
            gettext_lazy("State"),
            (
                Option("", gettext_lazy("All")),
                Option("open", gettext_lazy("Open"), _OPEN),
                Option("failed", gettext_lazy("Failed"), _FAILED),
                Option("uncertain", gettext_lazy("Uncertain"), Q(state=State.UNCERTAIN)),
                Option("sent", gettext_lazy("Delivered"), Q(state=State.SENT, bounced_at=None)),
            ),
            counts=True,
        ),
        Choices("account", gettext_lazy("Account"), gettext_lazy("All accounts"), _accounts, "account"),
    )
    csv_name = "outbox"
    csv_columns = (
        Column(gettext_lazy("State"), wording.label_of),
        Column(gettext_lazy("Subject"), "subject"),
        Column(gettext_lazy("Sender"), "from_address"),
        Column(gettext_lazy("Recipients"), lambda row: ", ".join(r.address for r in row.recipients.all())),
        Column(gettext_lazy("Account"), "account.display_name"),
        Column(gettext_lazy("Attempts"), "attempts"),
        Column(gettext_lazy("Reply of the server"), "last_reply"),
        Column(gettext_lazy("Queued"), "created_at"),
        Column(gettext_lazy("Finished"), "finished_at"),
        Column("Message-ID", "message_id"),
    )
    refresh_seconds = 10
    empty_icon = "outbox"
    empty_title = gettext_lazy("Nothing in the outbox")
    empty_text = gettext_lazy("Every e-mail that is sent from here appears in this list with its delivery.")

    def get_queryset(self) -> QuerySet[OutgoingMessage]:
        return presentation.with_everything(OutgoingMessage.objects.visible_to(self.user))

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        for word in text.split():
            named = Recipient.objects.filter(message=OuterRef("pk"), address__icontains=word)
            queryset = queryset.filter(Q(subject__icontains=word) | Exists(named))
        return queryset

    def get_subheading(self) -> str:
        day = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        visible = OutgoingMessage.objects.visible_to(self.user)
        sent = visible.filter(state=State.SENT, created_at__gte=day).count()
        waiting, trouble = visible.unfinished().count(), needing_attention(self.user).count()
        parts = [
            _("%(count)s delivered today") % {"count": formatting.number(sent)},
            _("%(count)s open") % {"count": formatting.number(waiting)},
            *([_("%(count)s not delivered") % {"count": formatting.number(trouble)}] if trouble else []),
        ]
        return " · ".join(parts)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        visible = OutgoingMessage.objects.visible_to(self.user)
        return super().get_context_data(stalled_accounts=presentation.stalled_accounts(visible), **kwargs)

    def count_text(self, count: int) -> str:
        return ngettext("%(count)s e-mail", "%(count)s e-mails", count) % {"count": formatting.number(count)}

    def get_extra_rows_context(self, rows: list[Any]) -> dict[str, Any]:
        return {"outbox_rows": [presentation.row_of(row) for row in rows]}


class OneMessage(OutboxMixin):
    """Pages about one mail; one that is not the user's does not exist."""

    message: OutgoingMessage

    def load(self, pk: int) -> OutgoingMessage:
        """Find the mail among those the user may see."""
        visible = presentation.with_everything(OutgoingMessage.objects.visible_to(self.user))
        self.message = get_object_or_404(visible.select_related("raw").defer("raw__content"), pk=pk)
        return self.message

    def get_crumbs(self) -> list[Crumb]:
        return [(_("Outbox"), reverse("outbound:list"))]

    def get_heading(self) -> str | Promise:
        return self.message.subject or _("(no subject)")


class MessagePage(OneMessage):
    """One mail: state, history, recipients, server's replies verbatim, Sent copy."""

    template_name = "outbound/message.html"

    def get(self, _request: HttpRequest, pk: int) -> HttpResponseBase:
        """Show it."""
        self.load(pk)
        return self.render()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        message = self.message
        copy_tone, copy_text = presentation.copy_text(message)
        is_administrator = roles.is_mail_administrator(self.user)
        own = {
            "row": presentation.row_of(message),
            "message": message,
            "moments": presentation.history_of(message, with_transcript=is_administrator),
            "recipients": presentation.recipient_rows(message),
            "belongings": presentation.belongings(message, self.user),
            "copy_tone": copy_tone,
            "copy_text": copy_text,
            "may_download": may_read_content(self.user, message),
            "text": _text_of(message) if owns_content(self.user, message) else "",
        }
        return super().get_context_data(**own, **kwargs)


def _text_of(message: OutgoingMessage) -> str:
    try:
        return parse_message(message.raw.content_bytes).text
    except MalformedMessage:
        return ""


class RawDownload(OneMessage):
    """The exact bytes, for those who may read the mail; that a superuser does is recorded."""

    def get(self, _request: HttpRequest, pk: int) -> HttpResponseBase:
        """Send the bytes; never shown by the browser, whatever they claim to be."""
        message = self.load(pk)
        if not may_read_content(self.user, message):
            raise PermissionDenied
        if not owns_content(self.user, message):
            audit.record(action="outbound.raw_read", obj=message, by=self.user)
        return HttpResponse(
            message.raw.content_bytes,
            content_type="application/octet-stream",
            headers={
                "Content-Disposition": f'attachment; filename="outgoing-{message.pk}.eml"',
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; sandbox",
            },
        )
