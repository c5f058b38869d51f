"""Tells the audit record, and the counting of failed logins, where a request comes from."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from audit.origin import Origin, acting_from


class ClientAddressMiddleware:
    """Behind a proxy (``BEHIND_PROXY``) the client's address is the last one in ``X-Forwarded-For``.

    Our own proxy appended that one; all before it are the client's word. Without it every visitor would have
    the proxy's address, and a stranger could lock administrators out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.BEHIND_PROXY:
            forwarded = request.headers.get("X-Forwarded-For", "").rsplit(",", 1)[-1].strip()
            request.META["REMOTE_ADDR"] = _valid(forwarded) or request.META.get("REMOTE_ADDR", "")
        return self.get_response(request)


class RequestOriginMiddleware:
    """Sets the origin (client address) for the length of each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with acting_from(Origin(ip=request.META.get("REMOTE_ADDR") or None)):
            return self.get_response(request)


def _valid(text: str) -> str | None:
    """The address in its usual form, None when it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
