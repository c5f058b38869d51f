"""Signing in with an e-mail address or a user name, and the pause after failures (reliability.md W9).

Failures are counted per *typed name* and client address, whether such an account exists or not, so that
neither texts nor counters tell accounts from inventions. The pause grows with each lockout and is capped:
from another address, or a day later, everybody can try again, administrators too (`manage.py axes_reset` ends
it at once).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import ngettext

PAUSES = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    timedelta(hours=24),
)
MEMORY = timedelta(days=7)


class EmailOrUsernameBackend(ModelBackend):
    """Accepts either as the login name; each attempt costs one password hash, known account or not."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Django's own, with the login name found from an e-mail address first."""
        name = username if username is None else login_name(username)
        return super().authenticate(request, username=name, password=password, **kwargs)


def login_name(typed: str) -> str:
    """The user name behind what was typed; a user name wins over somebody else's e-mail address.

    An address that two accounts share belongs to neither: which one signs in must not depend on chance.
    """
    typed = typed.strip()
    exact = User.objects.filter(username__iexact=typed).values_list("username", flat=True)[:2]
    names = list(exact) or list(
        User.objects.filter(email__iexact=typed).values_list("username", flat=True)[:2]
    )
    return names[0] if len(names) == 1 else typed


def counted_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The name failures are counted under: as typed, without case and outer blanks.

    Axes calls it (``AXES_USERNAME_CALLABLE``).
    """
    typed = (credentials or {}).get("username") or request.POST.get("username", "")
    return str(typed).replace("\0", "").strip().casefold()[:255]


def lockout_delay(request: HttpRequest) -> timedelta:
    """How long the present lockout of this name and address lasts: 15 minutes, 1, 4, 12, then 24 hours."""
    lockouts = recent_lockouts(counted_name(request, None), request.META.get("REMOTE_ADDR"))
    return PAUSES[min(max(lockouts, 1), len(PAUSES)) - 1]


def recent_lockouts(name: str, address: str | None) -> int:
    """Lockouts of this name and address in seven days, since the last successful login from there."""
    since = timezone.now() - MEMORY
    # Successes are logged under the user's name, failures under what was typed.
    success = AccessLog.objects.filter(username__iexact=login_name(name), ip_address=address)
    last = (
        success.filter(attempt_time__gt=since)
        .order_by("-attempt_time")
        .values_list("attempt_time", flat=True)
        .first()
    )
    failures = AccessFailureLog.objects.filter(username=name, ip_address=address, locked_out=True)
    return int(failures.filter(attempt_time__gt=last or since).count())


def remaining_attempts(request: HttpRequest) -> int:
    """Attempts left for this name and address before the next pause."""
    failures: int = AxesProxyHandler.get_failures(request, {"username": request.POST.get("username", "")})
    return max(int(settings.AXES_FAILURE_LIMIT) - int(failures), 0)


def next_pause(request: HttpRequest) -> timedelta:
    """How long the next lockout of this name and address would last."""
    lockouts = recent_lockouts(counted_name(request, None), request.META.get("REMOTE_ADDR"))
    return PAUSES[min(lockouts, len(PAUSES) - 1)]


def pause_in_words(pause: timedelta) -> str:
    """A pause in minutes or hours: "15 Minuten", "4 Stunden"."""
    minutes = int(pause.total_seconds() // 60)
    if minutes < 60:
        return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
    return ngettext("%(count)d hour", "%(count)d hours", minutes // 60) % {"count": minutes // 60}


def paused_until(request: HttpRequest) -> datetime:
    """When this name may be tried again from this address."""
    name, address = counted_name(request, None), request.META.get("REMOTE_ADDR")
    lockouts = AccessFailureLog.objects.filter(username=name, ip_address=address, locked_out=True)
    began = lockouts.order_by("-attempt_time").values_list("attempt_time", flat=True).first()
    return (began or timezone.now()) + lockout_delay(request)


def locked_out(request: HttpRequest, *_args: Any) -> HttpResponse:
    """The page during a pause (``AXES_LOCKOUT_CALLABLE``): the same for every name, with the time it ends."""
    until = paused_until(request)
    response = render(request, "masterdata/login_paused.html", {"until": until}, status=429)
    response.headers["Retry-After"] = str(max(int((until - timezone.now()).total_seconds()), 1))
    return response
