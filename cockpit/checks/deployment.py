"""What a server that others reach should have: ``manage.py check --deploy``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register


@register(Tags.security, deploy=True)
def check_proxy(**_kwargs: Any) -> list[CheckMessage]:
    """Whether what is believed of the proxy fits how pages are served."""
    if settings.HTTPS and settings.SECURE_SSL_REDIRECT and not settings.BEHIND_PROXY:
        return [
            checks.Warning(
                "HTTPS is on, but no proxy is trusted: every page redirects to itself.",
                hint="Set BEHIND_PROXY=true behind a TLS proxy that sets X-Forwarded-Proto and -For itself.",
                id="cockpit.W018",
            )
        ]
    if settings.BEHIND_PROXY and not settings.HTTPS:
        return [
            checks.Warning(
                "A proxy is trusted, but without HTTPS: without one, visitors choose their own address.",
                hint="Set HTTPS=true behind a TLS proxy, BEHIND_PROXY=false without any.",
                id="cockpit.W019",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def check_links(**_kwargs: Any) -> list[CheckMessage]:
    """Whether mails that the system writes can link to it."""
    if settings.BASE_URL:
        return []
    return [
        checks.Warning(
            "BASE_URL is missing: alert mails cannot link to the page they speak of.",
            hint="Set BASE_URL=https://erp.firma.de.",
            id="cockpit.W020",
        )
    ]
