"""The list of tickets: views and queues beside one table, everything in the URL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from masterdata.models import Address
from tickets.access import works_tickets
from tickets.counts import OpenCounts, open_counts
from tickets.filters import ALL, ME, NOBODY, OPEN, TicketFilter, search
from tickets.forms import person
from tickets.models import Attachment, Ticket
from tickets.wording import STATE_TONES
from ui import formatting
from ui.csv_export import Column
from ui.views import ListPage

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.http import HttpResponse


@dataclass(frozen=True, slots=True)
class Link:
    """A view, queue or state to go to, with its number of tickets (None = not counted)."""

    label: str | Promise
    href: str
    is_current: bool
    count: int | None = None
    tone: str = ""


class TicketListPage(ListPage):
    """All tickets the user may see, narrowed by queue, state, assignee, customer, priority and search."""

    template_name = "tickets/list.html"
    fragment_template = "tickets/_list_fragment.html"
    table_template = "tickets/_table.html"
    foot_template = "tickets/_list_foot.html"
    sorts = {"time": ("last_message_at", "id"), "priority": ("priority", "last_message_at", "id")}
    default_sort = "-time"
    search_placeholder = gettext_lazy("Number, subject, sender")
    refresh_seconds = 10
    create_label = gettext_lazy("New ticket")
    csv_name = "tickets"
    csv_columns = (
        Column(gettext_lazy("Number"), "number"),
        Column(gettext_lazy("State"), "get_state_display"),
        Column(gettext_lazy("Priority"), "get_priority_display"),
        Column(gettext_lazy("Subject"), "subject"),
        Column(gettext_lazy("Requester"), "requester_name"),
        Column(gettext_lazy("E-mail"), "requester_address"),
        Column(gettext_lazy("Customer"), "customer.name"),
        Column(gettext_lazy("Queue"), "queue.name"),
        Column(gettext_lazy("Assignee"), lambda ticket: person(ticket.assignee) if ticket.assignee else ""),
        Column(gettext_lazy("Created"), "created_at"),
        Column(gettext_lazy("Last message"), "last_message_at"),
    )
    searched_since: Any = None

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return works_tickets(user)

    @cached_property
    def chosen(self) -> TicketFilter:
        """The filter of the URL."""
        return TicketFilter.from_url(self.request.GET)

    @cached_property
    def counts(self) -> OpenCounts:
        """Numbers of open tickets."""
        return open_counts(self.user)

    def get_queryset(self) -> QuerySet[Ticket]:
        visible = Ticket.objects.visible_to(self.user)
        return self.chosen.narrow(visible, self.user).select_related("queue", "assignee", "customer")

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        found, self.searched_since = search(queryset, text)  # type: ignore[arg-type]  # our own queryset comes back
        return found

    def get_create_url(self) -> str:
        return reverse("tickets:create")

    def get_heading(self) -> str | Promise:
        return next(
            (link.label for link in [*self._views(), *self._queues()] if link.is_current), _("Tickets")
        )

    def count_text(self, count: int) -> str:
        return ngettext("%(count)s ticket", "%(count)s tickets", count) % {"count": formatting.number(count)}

    def get_extra_rows_context(self, rows: list[Any]) -> dict[str, Any]:
        attached = Attachment.objects.filter(message__ticket__in=[row.pk for row in rows], is_inline=False)
        return {
            "with_files": set(attached.values_list("message__ticket", flat=True)),
            "is_narrowed": self.chosen.is_narrowed,
            "searched_since": self.searched_since,
            "views": list(self._views()),
            "queues": list(self._queues()),
            "filed": list(self._filed()),
            "segments": list(self._segments()),
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds the choices of the filter bar, which the fragment does not need."""
        title, text = self._empty_texts()
        return super().get_context_data(**kwargs) | {
            "chosen": self.chosen,
            "empty_title": title,
            "empty_text": text,
            "is_first_page": not self.request.GET.get("cursor"),
        }

    def render(self, *, status: int = 200, template: str = "", **context: Any) -> HttpResponse:
        choices = {} if template else self._choices()
        return super().render(status=status, template=template, **context, **choices)

    def _choices(self) -> dict[str, Any]:
        customer = self.chosen.customer
        return {
            "assignees": self._assignees(),
            "priorities": [(str(value), label) for value, label in Ticket.Priority.choices],
            "customer": Address.objects.filter(pk=customer).first() if customer else None,
        }

    def _assignees(self) -> list[tuple[str, str]]:
        """Me, nobody, and the colleagues of the user's queues."""
        colleagues = User.objects.filter(queues__in=self.counts.queues, is_active=True).exclude(
            pk=self.user.pk
        )
        people = [
            (str(user.pk), person(user)) for user in colleagues.distinct().order_by("last_name", "username")
        ]
        return [(ME, _("to me")), (NOBODY, _("to nobody")), *people]

    def _empty_texts(self) -> tuple[str, str]:
        if self.chosen.state in {OPEN, ALL}:
            return _("Nothing open"), _(
                "New e-mails appear here by themselves, within seconds of their arrival."
            )
        return _("No tickets in this state"), _(
            "Tickets move here when their state is changed on their page."
        )

    def _views(self) -> Iterator[Link]:
        yield self._view(_("All open"), "", self.counts.total())
        yield self._view(_("My open tickets"), ME, self.counts.mine())
        yield self._view(_("Not assigned"), NOBODY, self.counts.unassigned())

    def _view(self, label: str, assignee: str, count: int) -> Link:
        is_current = self.chosen == TicketFilter(assignee=assignee)
        return Link(label, f"?assignee={assignee}" if assignee else self.request.path, is_current, count)

    def _queues(self) -> Iterator[Link]:
        for queue in self.counts.queues:
            is_current = self.chosen.queue == queue.pk and self.chosen.state == OPEN
            yield Link(queue.name, f"?queue={queue.pk}", is_current, self.counts.of_queue(queue.pk))

    def _filed(self) -> Iterator[Link]:
        for state in (Ticket.State.CLOSED, Ticket.State.SPAM, Ticket.State.TRASH):
            yield Link(state.label, f"?state={state}", self.chosen == TicketFilter(state=state))

    def _segments(self) -> Iterator[Link]:
        """The open states with their numbers, under the queue and assignee chosen, and what is closed."""
        countable = not (self.chosen.query or self.chosen.priority or self.chosen.customer)
        yield self._segment(OPEN, _("All open"), self.counts.of_state("", self.chosen) if countable else None)
        for state in Ticket.OPEN_STATES:
            count = self.counts.of_state(state, self.chosen) if countable else None
            yield self._segment(state, state.label, count)
        yield self._segment(Ticket.State.CLOSED, Ticket.State.CLOSED.label, None)
        yield self._segment(ALL, _("All"), None)

    def _segment(self, state: str, label: str | Promise, count: int | None) -> Link:
        parameters = self.request.GET.copy()
        for name in ("cursor", "format", "state"):
            parameters.pop(name, None)
        # A search covers every state by default, so the default must be named there.
        if state != OPEN or self.chosen.query:
            parameters["state"] = str(state)
        tone = STATE_TONES.get(state, "")
        return Link(label, f"?{parameters.urlencode()}", self.chosen.state == state, count, tone)
