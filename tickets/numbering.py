"""Ticket numbers ``YYYYMMDD-NNNNN``: reserved in blocks, unique, gaps allowed."""

from __future__ import annotations

from datetime import date

from django.db import connection, transaction
from django.utils import timezone

from jobs.durability import commit_without_waiting
from tickets.models import NumberSequence


def berlin_today() -> date:
    """The day that stands in numbers given out now, whatever time zone a page is shown in."""
    return timezone.localdate(timezone=timezone.get_default_timezone())


def reserve(count: int, day: date) -> list[str]:
    """Reserve ``count`` numbers of that day in a short transaction of their own, ascending.

    Never part of another transaction: whoever waits for a number would wait for that one's end.
    """
    if count < 1:
        return []
    last = _advance(count, day)
    return [f"{day:%Y%m%d}-{number:05d}" for number in range(last - count + 1, last + 1)]


def _advance(count: int, day: date) -> int:
    """Move the day's sequence on and return its new end; the row is held until the commit."""
    table = connection.ops.quote_name(NumberSequence._meta.db_table)  # noqa: SLF001  # documented as public
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        commit_without_waiting()  # whoever uses a number commits later, and waits
        cursor.execute(
            f"INSERT INTO {table} (day, last) VALUES (%s, %s) ON CONFLICT (day) "  # noqa: S608  # from the model
            f"DO UPDATE SET last = {table}.last + excluded.last RETURNING last",
            [connection.ops.adapt_datefield_value(day), count],
        )
        return int(cursor.fetchone()[0])
