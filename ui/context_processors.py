"""What the frame of every page needs."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language

from ui import navigation

THEMES = ("light", "dark")


def frame(request: HttpRequest) -> dict[str, Any]:
    """Theme, width of the navigation and, for those signed in, its entries with counts.

    Lazy: fragments that htmx asks for do not show the navigation and do not pay for its counts.
    """
    theme = request.COOKIES.get("theme", "")
    return {
        "theme": theme if theme in THEMES else "",
        "is_rail": request.COOKIES.get("rail") == "1",
        "navigation": SimpleLazyObject(lambda: _groups(request)),
        "other_languages": [code for code, _name in settings.LANGUAGES if code != get_language()],
    }


def _groups(request: HttpRequest) -> dict[str, list[dict[str, Any]]]:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    by_group = groupby(
        sorted(navigation.items_for(user), key=lambda item: item.group), key=lambda item: item.group
    )
    return {group or "top": [_entry(item, request) for item in items] for group, items in by_group}


def _entry(item: navigation.NavItem, request: HttpRequest) -> dict[str, Any]:
    count = item.count(request.user) if item.count else None
    return {"item": item, "url": item.url, "current": item.is_current(request.path), "count": count}
