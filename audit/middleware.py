"""Tells the audit record where a request comes from."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from audit.origin import Origin, acting_from


class RequestOriginMiddleware:
    """Sets the origin (client address) for the length of each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with acting_from(Origin(ip=request.META.get("REMOTE_ADDR") or None)):
            return self.get_response(request)
