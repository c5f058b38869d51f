"""What is wrong wherever it runs."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from jobs.log_lines import FORMATS, LEVELS

_TRANSPORTS = ("memory", "redis", "rediss", "sentinel", "unix", "amqp", "amqps")
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_SHORTEST_TOKEN = 32
_MEGABYTE = 1024 * 1024


@register(Tags.security)
def check_access(**_kwargs: Any) -> list[CheckMessage]:
    """Who may see what: debug pages, host names, the token of /metrics, the SQLite file."""
    return [*_debug(), *_hosts(), *_token(), *_sqlite_file()]


@register(Tags.compatibility)
def check_processes(**_kwargs: Any) -> list[CheckMessage]:
    """Whether database and broker fit each other."""
    return [*_broker(), *_broker_password()]


@register(Tags.compatibility)
def check_values(**_kwargs: Any) -> list[CheckMessage]:
    """Values out of range, malformed or unknown."""
    return [*_limits(), *_ports(), *_logging(), *_time(), *_base_url()]


def is_sqlite() -> bool:
    """Whether the database is one file of this machine."""
    return bool(settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"))


def _debug() -> Iterator[CheckMessage]:
    if settings.DEBUG and settings.HTTPS:
        yield checks.Error(
            "DEBUG is on: error pages show settings and mail to everybody.",
            hint="Set DEBUG=false.",
            id="cockpit.E001",
        )


def _hosts() -> Iterator[CheckMessage]:
    if not settings.ALLOWED_HOSTS:
        yield checks.Error(
            "ALLOWED_HOSTS is empty: every request is refused.",
            hint="Set ALLOWED_HOSTS to the name in the browser's address bar.",
            id="cockpit.E002",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield checks.Error(
            "ALLOWED_HOSTS takes every name: a stranger chooses the host in links.",
            hint="Set ALLOWED_HOSTS to the names of this installation.",
            id="cockpit.E003",
        )


def _token() -> Iterator[CheckMessage]:
    if 0 < len(settings.METRICS_TOKEN) < _SHORTEST_TOKEN:
        yield checks.Warning(
            f"METRICS_TOKEN is shorter than {_SHORTEST_TOKEN} characters and can be guessed.",
            hint="Put the output of 'openssl rand -hex 24' into METRICS_TOKEN.",
            id="cockpit.W004",
        )


def _sqlite_file() -> Iterator[CheckMessage]:
    file = Path(str(settings.DATABASES["default"]["NAME"]))
    if not is_sqlite() or not file.is_file():
        return
    others = stat.S_IRWXG | stat.S_IRWXO
    if file.stat().st_mode & others and file.parent.stat().st_mode & others:
        yield checks.Warning(
            "Other users of this machine can read the database file.",
            hint=f"Run: chmod 700 {file.parent}",
            id="cockpit.W005",
        )


def _broker() -> Iterator[CheckMessage]:
    scheme = urlsplit(settings.CELERY_BROKER_URL).scheme
    if scheme not in _TRANSPORTS:
        yield checks.Error(
            "CELERY_BROKER_URL names no broker that is known here.",
            hint="Use redis://user:password@host:6379/0, or memory://localhost/ with 'manage.py serve'.",
            id="cockpit.E006",
        )
    elif scheme != "memory" and is_sqlite():
        yield checks.Warning(
            "Several processes share one SQLite file: they wait for each other with every write.",
            hint="Set DATABASE_URL=postgres://…, or leave CELERY_BROKER_URL out and run 'manage.py serve'.",
            id="cockpit.W007",
        )
    elif scheme == "memory" and not is_sqlite():
        yield checks.Info(
            "Without a broker, workers and web processes of their own never hear of each other.",
            hint="'manage.py serve' is one process and needs none; for more set CELERY_BROKER_URL=redis://…",
            id="cockpit.I008",
        )


def _broker_password() -> Iterator[CheckMessage]:
    broker = urlsplit(settings.CELERY_BROKER_URL)
    if broker.scheme in {"redis", "rediss"} and not broker.password and broker.hostname not in _LOCAL_HOSTS:
        yield checks.Warning(
            "Redis on another host has no password: whoever reaches it can wake and read tasks.",
            hint="Give its user a password (ACL) and write redis://user:password@host:6379/0.",
            id="cockpit.W009",
        )


def _limits() -> Iterator[CheckMessage]:
    ranges = (
        # A server's silence must be noticed well before the lease of 120 s ends.
        ("MAIL_TIMEOUT_SECONDS", settings.MAIL_TIMEOUT_SECONDS, 5, 60),
        ("MAIL_IDLE_SECONDS", settings.MAIL_IDLE_SECONDS, 30, 1740),
        # A mail is held in memory several times over while it is read.
        ("MAIL_MAX_MESSAGE_MB", settings.MAIL_MAX_MESSAGE_BYTES // _MEGABYTE, 1, 250),
        ("LOCAL_MTA_PORT", settings.LOCAL_MTA_PORT, 1, 65_535),
        ("TICKET_REOPEN_DAYS", settings.TICKET_REOPEN_DAYS, 0, 3650),
        ("SESSION_IDLE_HOURS", settings.SESSION_COOKIE_AGE // 3600, 1, 168),
        ("DRAIN_SECONDS", settings.DRAIN_SECONDS, 1, 300),
        ("ALERT_AFTER_MINUTES", settings.ALERT_AFTER_MINUTES, 1, 1440),
        ("DATABASE_CONN_MAX_AGE", settings.DATABASES["default"].get("CONN_MAX_AGE") or 0, 0, 86_400),
    )
    for name, value, lowest, highest in ranges:
        if not lowest <= value <= highest:
            yield checks.Error(
                f"{name} is {value}.",
                hint=f"Set it between {lowest} and {highest}, or leave it out.",
                id="cockpit.E010",
            )


def _ports() -> Iterator[CheckMessage]:
    ports = settings.MAIL_ALLOWED_PORTS
    wrong = [] if isinstance(ports, range) else [port for port in ports if port not in range(1, 65_536)]
    if wrong:
        yield checks.Error(
            f"MAIL_ALLOWED_PORTS names what is no port: {', '.join(map(str, wrong))}.",
            hint="Write numbers separated by commas, 143,465,587,993, or the word any.",
            id="cockpit.E011",
        )


def _logging() -> Iterator[CheckMessage]:
    if settings.LOG_LEVEL not in LEVELS:
        yield checks.Error(
            f"LOG_LEVEL is {settings.LOG_LEVEL}; INFO is used instead.",
            hint=f"Use one of {', '.join(LEVELS)}.",
            id="cockpit.E012",
        )
    if settings.LOG_FORMAT not in FORMATS:
        yield checks.Error(
            f"LOG_FORMAT is {settings.LOG_FORMAT}; json is used instead.",
            hint=f"Use one of {', '.join(FORMATS)}.",
            id="cockpit.E013",
        )


def _time() -> Iterator[CheckMessage]:
    if not settings.USE_TZ:
        yield checks.Error(
            "USE_TZ is off: times in the database would mean another moment after each change of the clock.",
            hint="Leave USE_TZ = True.",
            id="cockpit.E014",
        )
    if settings.CELERY_TIMEZONE != settings.TIME_ZONE:
        yield checks.Error(
            "Beat reckons in another time zone than the application.",
            hint="Leave CELERY_TIMEZONE = TIME_ZONE.",
            id="cockpit.E015",
        )


def _base_url() -> Iterator[CheckMessage]:
    try:
        address = urlsplit(settings.BASE_URL)
    except ValueError:  # such as "https://[erp"
        address = urlsplit("")
    if settings.BASE_URL and (
        address.scheme not in {"http", "https"} or not address.netloc or address.query or address.fragment
    ):
        yield checks.Error(
            "BASE_URL is no address that a browser opens.",
            hint="Write it like https://erp.firma.de.",
            id="cockpit.E016",
        )
    elif address.scheme == "http" and settings.HTTPS:
        yield checks.Warning(
            "Links in mails lead to http:// although pages are served by HTTPS.",
            hint="Write BASE_URL=https://…",
            id="cockpit.W017",
        )
