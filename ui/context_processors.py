"""What the frame of every page needs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from ui import navigation


def frame(request: HttpRequest) -> dict[str, Any]:
    """Navigation with counts; nothing for visitors who are not signed in."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"navigation": [_entry(item, request) for item in navigation.items_for(user)]}


def _entry(item: navigation.NavItem, request: HttpRequest) -> dict[str, Any]:
    url = item.url
    current = request.path == url or (url != "/" and request.path.startswith(url))
    count = item.count(request.user) if item.count else None
    return {"item": item, "url": url, "current": current, "count": count}
