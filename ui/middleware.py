"""Sessions that end when nobody is there, and pages behind the login that stay in no cache."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.http import urlencode
from django_htmx.middleware import HtmxDetails


class IdleSessionMiddleware:
    """Prolongs the session with every request of a person, not with those that an open page makes by itself.

    ``static/app.js`` marks those with ``X-Background``: a tab left open signs out like a closed one (W6).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "X-Background" not in request.headers and not request.session.is_empty():
            request.session.modified = True
        return response


class PrivatePagesMiddleware:
    """Adds ``Cache-Control: no-store`` unless the view has said something of its own (reliability.md W6).

    A redirect to the login that answers htmx becomes an instruction to load the login page: followed
    silently, it would be swapped into the fragment.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.headers.get("HX-Request") and _leads_to_login(response):
            response = HttpResponse(status=204, headers={"HX-Redirect": _login_for(request)})
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _leads_to_login(response: HttpResponse) -> bool:
    login = resolve_url(settings.LOGIN_URL)
    return response.status_code == 302 and response.headers.get("Location", "").split("?")[0] == login


def _login_for(request: HttpRequest) -> str:
    """The login that leads back to the page the fragment belongs to."""
    page = HtmxDetails(request).current_url_abs_path or request.get_full_path()
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': page})}"
