"""Times, sizes and numbers as the mocks write them."""

import datetime as dt

import pytest
import time_machine
from django.utils import translation

from ui import formatting

BERLIN_NOON = dt.datetime(2026, 11, 24, 11, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("at", "german", "english"),
    [
        (dt.datetime(2026, 11, 24, 6, 41, tzinfo=dt.UTC), "07:41", "07:41"),
        (dt.datetime(2026, 11, 23, 15, 22, tzinfo=dt.UTC), "gestern 16:22", "yesterday 16:22"),
        (dt.datetime(2026, 11, 22, 15, 22, tzinfo=dt.UTC), "22.11.2026", "22 Nov 2026"),
        # 23:30 UTC is already the next day in Berlin.
        (dt.datetime(2026, 11, 23, 23, 30, tzinfo=dt.UTC), "00:30", "00:30"),
        (dt.date(2026, 3, 1), "01.03.2026", "1 Mar 2026"),
        (None, "", ""),
    ],
)
def test_times_are_short(at, german, english):
    with time_machine.travel(BERLIN_NOON, tick=False):
        with translation.override("de"):
            assert formatting.short_time(at) == german
        with translation.override("en"):
            assert formatting.short_time(at) == english


def test_a_full_time_says_the_day():
    with translation.override("de"):
        assert (
            formatting.full_time(dt.datetime(2026, 11, 24, 5, 52, tzinfo=dt.UTC)) == "24.11.2026, 06:52 Uhr"
        )


@pytest.mark.parametrize(
    ("count", "german"),
    [
        (0, "0 Bytes"),
        (812, "812 Bytes"),
        (53_200, "53\u00a0kB"),
        (999_499, "999\u00a0kB"),
        (999_600, "1,0\u00a0MB"),
        (1_800_000, "1,8\u00a0MB"),
        (61_840_000, "61,8\u00a0MB"),
        (412_000_000, "412\u00a0MB"),
        (3_000_000_000_000_000, "3000\u00a0TB"),
    ],
)
def test_sizes_are_short(count, german):
    with translation.override("de"):
        assert formatting.size(count) == german


def test_numbers_are_grouped():
    with translation.override("de"):
        assert [formatting.number(n) for n in (0, 999, 12190, -12190)] == ["0", "999", "12.190", "-12.190"]
    with translation.override("en"):
        assert formatting.number(12190) == "12,190"
