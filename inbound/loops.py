"""The mark by which our own automatic mail is known when it comes back (B83)."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.utils.crypto import salted_hmac


def loop_mark() -> str:
    """Value of our X-Loop field: this installation's own, so that others' answers are not taken for ours."""
    return _mark(settings.SECRET_KEY)


@lru_cache(maxsize=2)
def _mark(secret: str) -> str:
    return f"erp-mail-{salted_hmac('inbound.loops', 'x-loop', secret=secret).hexdigest()[:16]}"
