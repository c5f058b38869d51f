"""What the database itself tells: ``manage.py check --database default``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import DatabaseError, connection
from django.utils import timezone

LARGEST_SKEW = timedelta(seconds=5)
COMPRESSION = "lz4"
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """Whether PostgreSQL keeps what it was given, compresses well and has our time."""
    if not databases or connection.vendor != "postgresql":
        return []
    try:
        return [*_durability(), *_compression(), *_clock()]
    except DatabaseError as error:
        reason = str(error).partition("\n")[0]
        hint = "Look whether it runs and DATABASE_URL is right."
        return [checks.Error(f"The database does not answer: {reason}", hint=hint, id="cockpit.E021")]


def _durability() -> Iterator[CheckMessage]:
    values = dict(_ask("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(_DURABLE)]))
    for name in _DURABLE:
        if values.get(name) == "off":
            yield checks.Warning(
                f"PostgreSQL runs with {name}=off: a power cut may lose mail that was deleted on the server.",
                hint=f"Set {name} = on in postgresql.conf.",
                id="cockpit.W022",
            )


def _compression() -> Iterator[CheckMessage]:
    known = "SELECT %s = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    if _ask(known, [COMPRESSION]) != [(True,)]:
        yield checks.Warning(
            "PostgreSQL was built without lz4: mail is stored at half the speed.",
            hint="Use the packages of postgresql.org or of Debian, version 14 or later.",
            id="cockpit.W023",
        )


def _clock() -> Iterator[CheckMessage]:
    [(there,)] = _ask("SELECT clock_timestamp()")
    skew = abs(timezone.now() - there)
    if skew > LARGEST_SKEW:
        yield checks.Warning(
            f"The clocks of this machine and of the database differ by {skew.total_seconds():.0f} s: leases "
            "and due times are reckoned by both.",
            hint="Let both machines synchronise their clocks (systemd-timesyncd, chrony).",
            id="cockpit.W024",
        )


def _ask(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
