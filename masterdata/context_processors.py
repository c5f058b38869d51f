"""The company's name in the frame of every page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from masterdata import selectors


def company(_request: HttpRequest) -> dict[str, Any]:
    """``company_name``, read when a template shows it, once a request; "" before set-up."""
    return {"company_name": SimpleLazyObject(lambda: str(selectors.company() or ""))}
