"""Times, sizes and numbers as people write them: "07:41", "gestern 16:22", "1,8 MB", "12.190"."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.utils import formats, timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

_UNITS = ("kB", "MB", "GB", "TB")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def short_time(value: dt.datetime | dt.date | None) -> str:
    """A time as short as it can be without being unclear; "" for None. Times are shown in Europe/Berlin.

    Plain string formatting: Django's ``date`` filter is what costs most in a long list.
    """
    if value is None:
        return ""
    if not isinstance(value, dt.datetime):
        return day(value)
    local = timezone.localtime(value)
    distance = (timezone.localdate() - local.date()).days
    clock = f"{local.hour:02}:{local.minute:02}"
    if distance == 0:
        return clock
    if distance == 1:
        return _("yesterday %(time)s") % {"time": clock}
    return day(local.date())


def full_time(value: dt.datetime | None) -> str:
    """Date and time in full, "24.11.2026, 06:52 Uhr"; "" for None."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    clock = f"{local.hour:02}:{local.minute:02}"
    return _("%(day)s, %(time)s") % {"day": day(local.date()), "time": clock}


def day(value: dt.date) -> str:
    """A day: "24.11.2026" in German, "24 Nov 2026" in English."""
    if _is_german():
        return f"{value.day:02}.{value.month:02}.{value.year}"
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def size(count: float | None) -> str:
    """A number of bytes: "812 Bytes", "53 kB", "1,8 MB"; steps of 1000. "" for None."""
    if count is None:
        return ""
    if count < 1000:
        return _("%(count)d bytes") % {"count": count}
    step, amount = 0, count / 1000
    while amount >= 999.5 and step < len(_UNITS) - 1:
        step, amount = step + 1, amount / 1000
    unit = _UNITS[step]
    digits = 0 if unit == "kB" or amount >= 99.95 else 1
    return f"{_decimal(round(amount, digits), digits)}\u00a0{unit}"


def number(value: int | float | Decimal | None) -> str:
    """A number with thousands separated: "12.190" in German, "12,190" in English; "" for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}".replace(",", ".") if _is_german() else f"{value:,}"
    return formats.number_format(value, use_l10n=True, force_grouping=True)


def _decimal(amount: float, digits: int) -> str:
    text = f"{amount:.{digits}f}"
    return text.replace(".", ",") if _is_german() else text


def _is_german() -> bool:
    return (get_language() or "").startswith("de")
