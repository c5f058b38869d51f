"""The conversation page, and its messages alone for live updates."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from tickets.views.base import ConversationMixin
from ui.conditional import not_modified_or


class TicketPage(ConversationMixin):
    """One ticket: its messages, newest last, the box to answer, and what is known about it."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Show it."""
        return self.render_ticket(self.read_ticket())


class LogFragment(ConversationMixin):
    """The messages alone; htmx asks every few seconds and gets a 304 while nothing has changed."""

    def get(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """The page that asks has been recorded as read already, so this is not recorded again."""
        ticket = self.find_ticket()
        html, _etag = self.render_log(ticket, self.read_log(ticket))
        return not_modified_or(request, HttpResponse(html))
