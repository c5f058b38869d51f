"""Changing a ticket: its properties, its state by one button, and who works on it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from tickets import services
from tickets.models import Ticket
from tickets.views.base import ConversationMixin, TicketMixin, properties_form


class PropertiesView(ConversationMixin):
    """Save what was changed in the properties form."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Lead to the ticket."""
        return redirect(self.find_ticket())

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Change the ticket; the form again where a change is not possible (422)."""
        ticket = self.find_ticket()
        form = properties_form(ticket, data=request.POST)
        if form.is_valid():
            try:
                changed = services.change_ticket(ticket=ticket, by=self.user, **form.changes())
            except ValidationError as error:
                form.add_error(None, error)
            else:
                return self._saved(changed)
        return self.render_ticket(
            self.find_ticket(), status=422, properties=form, problem=_("The properties were not saved yet.")
        )

    def _saved(self, ticket: Ticket) -> HttpResponseBase:
        if not Ticket.objects.visible_to(self.user).filter(pk=ticket.pk).exists():
            text = _("Ticket #%(number)s now belongs to the queue %(queue)s and has left your list.")
            messages.success(self.request, text % {"number": ticket.number, "queue": ticket.queue})
        return self.back_to(ticket)


class StateView(TicketMixin):
    """One button, one state: close, reopen, spam, trash."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Lead to the ticket."""
        return redirect(self.find_ticket())

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Set the state."""
        state = request.POST.get("state", "")
        if state not in Ticket.State.values:
            raise Http404
        ticket = self.find_ticket()
        services.change_ticket(ticket=ticket, by=self.user, state=state)
        return redirect(ticket)


class TakeView(TicketMixin):
    """Assign the ticket to oneself."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Lead to the ticket."""
        return redirect(self.find_ticket())

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Assign it; the reason where it cannot be."""
        ticket = self.find_ticket()
        try:
            services.change_ticket(ticket=ticket, by=self.user, assignee=self.user)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return redirect(ticket)
