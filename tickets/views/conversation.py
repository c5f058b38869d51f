"""The conversation page, and its messages alone for live updates."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase

from tickets.views.base import ConversationMixin


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
        etag = self.log_etag(ticket)
        if request.headers.get("If-None-Match") == etag:
            return HttpResponseNotModified(headers={"ETag": etag})
        return HttpResponse(self.draw_log(ticket, self.read_log(ticket)), headers={"ETag": etag})
