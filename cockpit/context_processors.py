"""What every page must say while this installation is an unconfirmed copy."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from jobs import instance


def quiet_copy(request: HttpRequest) -> dict[str, Any]:
    """``is_quiet_copy`` for signed-in users: nothing is polled or sent until an administrator confirms."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"is_quiet_copy": not instance.is_original(), "is_demo": bool(settings.DEMO_FOLDER)}
