"""The page of alerts, and the button that says somebody takes care."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cockpit import services
from cockpit.alerts import presentation, wording
from cockpit.models import Alert
from mailaccounts.models import MailAccount
from ui import formatting
from ui.csv_export import Column
from ui.views import Choices, ListPage, Option, PageMixin, Segments
from ui.views.base import Crumb

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_OPEN, _OVER = Q(closed_at__isnull=True), Q(closed_at__isnull=False)


class AlertsMixin(PageMixin):
    """For those whom alerts concern; each sees only what is theirs."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return presentation.may_see_alerts(user)


def _accounts(request: HttpRequest) -> Iterable[tuple[int, str]]:
    concerned = Alert.objects.visible_to(request.user).values("account")
    accounts = MailAccount.objects.filter(pk__in=concerned)
    return accounts.order_by("display_name").values_list("pk", "display_name")


class AlertList(AlertsMixin, ListPage):
    """What holds, and what is over, with cause, remedy and who was told."""

    table_template = "cockpit/_alerts_table.html"
    heading = gettext_lazy("Alerts")
    subheading = gettext_lazy("What is wrong, since when, what to do about it, and who was told by mail.")
    sorts = {"opened": ("opened_at", "id")}
    default_sort = "-opened"
    search_fields = ("account__display_name__icontains", "account__email__icontains")
    search_placeholder = gettext_lazy("Account")
    filters = (
        Segments(
            "state",
            gettext_lazy("State"),
            (
                Option("", gettext_lazy("Open"), _OPEN),
                Option("over", gettext_lazy("Over"), _OVER),
                Option("all", gettext_lazy("All")),
            ),
            counts=True,
        ),
        Choices("account", gettext_lazy("Account"), gettext_lazy("All accounts"), _accounts, "account"),
    )
    csv_name = "alerts"
    csv_columns = (
        Column(gettext_lazy("Severity"), lambda row: str(row.get_severity_display())),
        Column(gettext_lazy("What"), lambda row: wording.words_of(row).title),
        Column(gettext_lazy("Account"), wording.subject_of),
        Column(gettext_lazy("Since"), "since"),
        Column(gettext_lazy("Alert at"), "opened_at"),
        Column(gettext_lazy("Mailed"), "notified_at"),
        Column(gettext_lazy("Over since"), "clear_since"),
        Column(gettext_lazy("All-clear at"), "closed_at"),
    )
    refresh_seconds = 30
    empty_icon = "check"
    empty_title = gettext_lazy("No alerts")
    empty_text = gettext_lazy("Everything works. When something needs attention, it stands here.")

    def get_queryset(self) -> QuerySet[Alert]:
        return presentation.with_mails(Alert.objects.visible_to(self.user))

    def get_crumbs(self) -> list[Crumb]:
        return [(_("Start"), reverse("cockpit:start"))]

    def count_text(self, count: int) -> str:
        return ngettext("%(count)s alert", "%(count)s alerts", count) % {"count": formatting.number(count)}

    def get_extra_rows_context(self, rows: list[Any]) -> dict[str, Any]:
        return {"alert_rows": presentation.rows_of(rows)}


class Acknowledge(AlertsMixin):
    """*Gesehen*: no more reminders."""

    def post(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Do it, and go back to where the button was."""
        alert = get_object_or_404(Alert.objects.visible_to(self.user).select_related("account"), pk=pk)
        if services.acknowledge(alert=alert, by=self.user):
            messages.success(request, _("Seen: no reminder is mailed unless it gets worse."))
        return redirect(self.get_next_url(reverse("cockpit:alerts")))
