"""One log line a request, and the request id that every line and woken task bears."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from jobs import log_context

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
# Asked every few seconds by machines: told at DEBUG while all is well.
_PROBES = ("/healthz", "/metrics")


class RequestLogMiddleware:
    """Gives the request its id, says it in the response, and writes method, path, status, time and user.

    The query string is left out: it may hold search words and codes. A proxy's own id is taken over where
    there is a proxy (``BEHIND_PROXY``) and it looks like one; anybody else gets a new one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        request_id = _request_id(request)
        with log_context.bound(request_id=request_id):
            response = self.get_response(request)
            _tell(request, response, time.monotonic() - began)
        response[HEADER] = request_id
        return response


def _request_id(request: HttpRequest) -> str:
    given = request.headers.get(HEADER, "") if settings.BEHIND_PROXY else ""
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _tell(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    is_probe = request.path in _PROBES and response.status_code < 400
    # Whoever was looked up meanwhile: asking now could cost a query, or fail with the database.
    user = getattr(request, "_cached_user", None)
    fields = {
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "duration_ms": round(seconds * 1000),
        **({"user_id": user.pk} if user and user.pk else {}),
    }
    logger.log(logging.DEBUG if is_probe else logging.INFO, "request", extra={"fields": fields})
