"""Days are Berlin days, whatever the server's clock and the season (R20, R33)."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")


def berlin_day(moment: datetime) -> date:
    """Day on which an aware moment falls in Berlin."""
    return moment.astimezone(BERLIN).date()


def start_of(day: date) -> datetime:
    """First moment of a Berlin day; days there last 23, 24 or 25 hours."""
    return datetime.combine(day, time.min, tzinfo=BERLIN)
