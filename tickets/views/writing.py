"""Answers and notes: what the box below the conversation posts to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from mailkit.errors import MailError
from outbound.errors import NoTransport
from tickets import services
from tickets.composer import answer_form, note_form, refused_composer
from tickets.forms import AnswerForm, NoteForm
from tickets.models import Ticket, TicketMessage
from tickets.views.base import ConversationMixin
from tickets.wording import refusal


class _WritingView(ConversationMixin):
    """POST only; a visit (after signing in again, say) leads to the ticket."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Lead to the ticket."""
        return redirect(self.find_ticket())

    def refuse(self, ticket: Ticket, form: AnswerForm | NoteForm) -> HttpResponse:
        """Show the page with what was written and why it was not taken (422)."""
        return self.render_ticket(ticket, status=422, composer=refused_composer(ticket, form))

    def go_to(self, ticket: Ticket, message: TicketMessage) -> HttpResponse:
        """Redirect to the new message."""
        return redirect(f"{ticket.get_absolute_url()}#m{message.pk}")


class ReplyView(_WritingView):
    """Send an answer, or send it and close the ticket."""

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Queue the answer; say what stands in its way otherwise."""
        ticket = self.find_ticket()
        form = answer_form(ticket, self.user, data=request.POST, files=request.FILES)
        if not form.is_valid():
            return self.refuse(ticket, form)
        try:
            message = services.reply(
                ticket=ticket, by=self.user, closes="closes" in request.POST, **form.cleaned_data
            )
        except (NoTransport, MailError) as error:
            form.add_error(None, refusal(error))
            return self.refuse(ticket, form)
        return self.go_to(ticket, message)


class NoteView(_WritingView):
    """Add an internal note."""

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Add it."""
        ticket = self.find_ticket()
        form = note_form(data=request.POST)
        if not form.is_valid():
            return self.refuse(ticket, form)
        message = services.add_note(ticket=ticket, by=self.user, **form.cleaned_data)
        return self.go_to(ticket, message)
