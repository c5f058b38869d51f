"""What the pages of one ticket share: finding it, and drawing the conversation page."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import quote_etag
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from tickets import selectors, wording
from tickets.composer import Composer, new_composer
from tickets.conversation import MessageEntry, fingerprint, read_conversation, read_surroundings
from tickets.forms import PropertiesForm
from tickets.models import Queue, Ticket
from ui.views import PageMixin

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from tickets.conversation import Conversation


class TicketMixin(PageMixin):
    """A page or an action of one ticket. A ticket the user may not see does not exist (404)."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        """Everybody signed in: which tickets there are for them, the queryset decides."""
        return user.is_authenticated

    def find_ticket(self) -> Ticket:
        """The ticket of the URL, for changing it or for live updates."""
        found = Ticket.objects.visible_to(self.user).select_related(
            "queue", "assignee", "customer", "project", "account"
        )
        ticket = found.filter(number=self.kwargs["number"]).first()
        if ticket is None:
            raise Http404
        return ticket

    def read_ticket(self) -> Ticket:
        """The ticket of the URL, for reading its content; a superuser's reading is recorded."""
        try:
            return selectors.read_ticket(number=self.kwargs["number"], by=self.user)
        except Ticket.DoesNotExist:
            raise Http404 from None

    def back_to(self, ticket: Ticket) -> HttpResponse:
        """Redirect to the ticket, or to the list when it has left the user's queues."""
        if Ticket.objects.visible_to(self.user).filter(pk=ticket.pk).exists():
            return redirect(ticket)
        return redirect("tickets:list")


class ConversationMixin(TicketMixin):
    """Draws the conversation page, for the page itself and for forms on it that were not taken."""

    template_name = "tickets/ticket.html"

    def render_ticket(self, ticket: Ticket, *, status: int = 200, **given: Any) -> HttpResponse:
        """The whole page; ``composer``, ``properties`` and ``problem`` replace what it shows by default."""
        etag = self.log_etag(ticket)
        conversation = self.read_log(ticket)
        marks = [wording.mark_label(code) for code in ticket.marks]
        response = self.render(
            status=status,
            ticket=ticket,
            conversation=conversation,
            surroundings=read_surroundings(ticket, self.user),
            marks=marks,
            warning_marks=[mark for mark in marks if mark.tone == "warn"],
            is_open=ticket.state in Ticket.OPEN_STATES,
            may_write=True,
            may_take=ticket.assignee_id != self.user.pk and may_take(ticket, self.user),
            log_html=self.draw_log(ticket, conversation),
            log_url=self.log_url(ticket),
            log_headers=json.dumps({"If-None-Match": etag}),
            **self._forms(ticket, given),
        )
        return self.allow_pictures(response)

    def _forms(self, ticket: Ticket, given: dict[str, Any]) -> dict[str, Any]:
        composer: Composer = given.pop("composer", None) or new_composer(ticket, self.user, self.request.GET)
        properties = given.pop("properties", None) or properties_form(ticket)
        return {"composer": composer, "properties": properties, **given}

    def read_log(self, ticket: Ticket) -> Conversation:
        """The conversation as the URL asks for it (``?all=1``, ``?remote=<message>``)."""
        return read_conversation(
            ticket, self.user, remote=self.wanted_pictures(), shows_all="all" in self.request.GET
        )

    def log_etag(self, ticket: Ticket) -> str:
        """What polling compares: cheap, as drawing the messages means sanitising every mail again.

        Take it before reading the messages: news that slips in between is then sent once more, not missed.
        """
        shown = (
            sorted(self.wanted_pictures()),
            "all" in self.request.GET,
            get_language(),
            timezone.localdate(),
        )
        state = repr((fingerprint(ticket), shown)).encode()
        return quote_etag(hashlib.blake2b(state, digest_size=16).hexdigest())

    def draw_log(self, ticket: Ticket, conversation: Conversation) -> SafeString:
        """The messages as HTML."""
        newest = next(
            (e.message.pk for e in reversed(conversation.entries) if isinstance(e, MessageEntry)), None
        )
        context = {
            "ticket": ticket,
            "conversation": conversation,
            "newest": newest,
            "all_url": f"{ticket.get_absolute_url()}?all=1",
        }
        return render_to_string("tickets/_log.html", context, request=self.request)

    def log_url(self, ticket: Ticket) -> str:
        """Where polling finds the messages as they are shown now."""
        query = self.request.GET.copy()
        query.pop("compose", None)
        return f"{reverse('tickets:log', args=[ticket.number])}?{query.urlencode()}"

    def wanted_pictures(self) -> frozenset[int]:
        """Messages whose remote pictures the reader asked for."""
        return frozenset(
            int(value)
            for value in self.request.GET.getlist("remote")
            if value.isdecimal() and len(value) < 19
        )

    def allow_pictures(self, response: HttpResponse) -> HttpResponse:
        """Frames inherit the page's policy: remote pictures pass on this response only."""
        if self.wanted_pictures():
            vars(response)["_csp_update"] = {
                "img-src": ["https:"]
            }  # what django-csp's csp_update decorator sets
        return response


def may_take(ticket: Ticket, user: User) -> bool:
    """Whether the ticket may be assigned to the user."""
    return selectors.assignable_users(ticket.queue, ticket=ticket).filter(pk=user.pk).exists()


def properties_form(ticket: Ticket, **arguments: Any) -> PropertiesForm:
    """The form of the ticket's properties. Every active queue can be chosen, as tickets are handed over."""
    initial = {
        "state": ticket.state,
        "priority": ticket.priority,
        "queue": ticket.queue_id,
        "assignee": ticket.assignee_id,
        "project": ticket.project_id,
    }
    people = selectors.assignable_users(ticket.queue, ticket=ticket)
    return PropertiesForm(
        queues=Queue.objects.filter(Q(is_active=True) | Q(pk=ticket.queue_id)),
        assignees=User.objects.filter(Q(pk__in=people.values("pk")) | Q(pk=ticket.assignee_id)),
        initial=initial,
        auto_id="p_%s",
        **arguments,
    )
