"""The company's name in the frame of every page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from masterdata import roles, selectors


def company(request: HttpRequest) -> dict[str, Any]:
    """``company_name`` ("" before set-up) and ``may_confirm_copy``, read when a template shows them."""
    user = getattr(request, "user", None)
    return {
        "company_name": SimpleLazyObject(lambda: str(selectors.company() or "")),
        "may_confirm_copy": SimpleLazyObject(lambda: user is not None and roles.is_mail_administrator(user)),
    }
