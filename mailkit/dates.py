"""The Date field (RFC 5322 §3.3, §4.3), and when to believe it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_EARLIEST: Final = timedelta(days=365)
_LATEST: Final = timedelta(days=1)


def parse_date(value: str) -> datetime | None:
    """Return the moment in UTC, or None for what is no date. A zone of ``-0000`` or none counts as UTC."""
    try:
        moment = parsedate_to_datetime(value[:200])
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def sent_at(date: datetime | None, received_at: datetime) -> datetime:
    """Return the Date field's moment where it is plausible, else ``received_at`` (the INTERNALDATE).

    Plausible is up to a day after the arrival (clocks, zones) and a year before it (queues, imports);
    1970 and 2099 are what broken clocks and spammers write.
    """
    if date is None or not received_at - _EARLIEST <= date <= received_at + _LATEST:
        return received_at
    return date
