"""Settings of the queues, for mail administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from masterdata import roles
from tickets.forms import QueueForm
from tickets.models import Queue, Ticket
from ui.views import FormPage, ListPage

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from ui.views.base import Crumb


class QueueListPage(ListPage):
    """All queues with their agents and open tickets."""

    table_template = "tickets/_queue_table.html"
    heading = _("Queues")
    subheading = _("Each queue has its agents; they read and answer its tickets.")
    sorts = {"name": ("name", "id")}
    default_sort = "name"
    search_fields = ("name__icontains",)
    search_placeholder = _("Name")
    create_label = _("Add queue")
    empty_icon = "inbox"
    empty_title = _("No queue yet")
    empty_text = _("Tickets need a queue, and a queue needs agents who may read it.")

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return roles.is_mail_administrator(user)

    def get_queryset(self) -> QuerySet[Queue]:
        return Queue.objects.all()

    def get_extra_rows_context(self, rows: list[Any]) -> dict[str, Any]:
        """Agents and open tickets of the queues shown: two grouped queries."""
        shown = Queue.objects.filter(pk__in=[row.pk for row in rows])
        agents = shown.annotate(number=Count("agents", filter=Q(agents__is_active=True)))
        open_tickets = shown.annotate(
            number=Count("tickets", filter=Q(tickets__state__in=Ticket.OPEN_STATES))
        )
        agents_by, open_by = (dict(query.values_list("pk", "number")) for query in (agents, open_tickets))
        return {"lines": [(row, agents_by.get(row.pk, 0), open_by.get(row.pk, 0)) for row in rows]}

    def count_text(self, count: int) -> str:
        return ngettext("%(count)d queue", "%(count)d queues", count) % {"count": count}

    def get_create_url(self) -> str:
        return reverse("tickets:queue_create")


class QueueFormPage(FormPage[Queue]):
    """Create or edit a queue. Access to tickets is at stake, so agents stand in the audit record by name."""

    form_class = QueueForm
    queryset = Queue.objects.all()
    create_heading = _("Add queue")

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return roles.is_mail_administrator(user)

    def get_crumbs(self) -> list[Crumb]:
        return [(_("Queues"), reverse("tickets:queue_list"))]

    def get_success_url(self) -> str:
        return reverse("tickets:queue_list")
