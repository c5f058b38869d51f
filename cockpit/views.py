"""Start page, health and metrics of the installation, and the confirmation of a copy."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from audit import services as audit
from cockpit import health, selectors
from cockpit import metrics as figures
from cockpit.alerts import presentation
from jobs import instance
from masterdata import roles


@require_GET
def start(request: HttpRequest) -> HttpResponse:
    """What waits for the user."""
    user = cast("User", request.user)
    context = {
        "tiles": selectors.tiles(user),
        "tickets": selectors.next_tickets(user) if roles.is_agent(user) else None,
        "board": presentation.board(user),
        "first_steps": selectors.first_steps(user),
    }
    return render(request, "cockpit/start.html", context)


@login_not_required
@never_cache
@require_GET
def healthz(_request: HttpRequest) -> JsonResponse:
    """Health as JSON for monitoring: 200 while everything runs, 503 when something is down."""
    report = health.report()
    return JsonResponse(report.as_json(), status=200 if report.is_well else 503)


@login_not_required
@never_cache
@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures for whoever bears ``METRICS_TOKEN``; without that setting there is no such page."""
    if not settings.METRICS_TOKEN:
        raise Http404
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(figures.exposition(), content_type=figures.CONTENT_TYPE)


@require_http_methods(["GET", "POST"])
def confirm_copy(request: HttpRequest) -> HttpResponse:
    """Say that this installation is the one that talks to the mail servers from now on (product §12)."""
    user = cast("User", request.user)
    if not roles.is_mail_administrator(user):
        raise PermissionDenied
    if request.method == "POST":
        changes = {"fingerprint": [instance.confirmed_fingerprint(), instance.fingerprint()]}
        instance.confirm(by=user.get_username())
        audit.record(action="instance.confirmed", by=user, changes=changes)
        messages.success(request, _("This installation polls and sends from now on."))
        return redirect("cockpit:start")
    context = {"here": instance.fingerprint(), "known": instance.confirmed_fingerprint()}
    return render(request, "cockpit/confirm_copy.html", context)
