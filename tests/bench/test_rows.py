"""A row says yes only where the budget is kept and nothing is wrong."""

import pytest

from bench import importing, polling
from bench.table import Result, load_note, render


def turn(rate: float, wrong: int = 0) -> dict:
    return {"rate": rate, "wrong": wrong}


@pytest.mark.parametrize(
    ("ours", "is_kept"),
    [
        ([turn(40), turn(40), turn(10)], True),  # the median of the ratios counts
        ([turn(39), turn(39), turn(90)], False),
        ([turn(90), turn(90), turn(90, wrong=1)], False),
    ],
    ids=["kept", "too-slow", "one-wrong"],
)
def test_p1_speed_counts_against_the_same_round_and_with_nothing_wrong(ours, is_kept):
    turns = {"mbsync": [turn(100), turn(100), turn(100)], "PostgreSQL": ours}
    assert importing._speed("P1", "PostgreSQL", turns, at_least=0.40).is_kept is is_kept


@pytest.mark.parametrize(
    ("peak", "wrong", "is_kept"), [(150_000_000, 0, True), (150_000_001, 0, False), (1, 1, False)]
)
def test_p4_memory_counts_only_where_all_was_imported(peak, wrong, is_kept):
    assert importing._memory(peak, 100_000, wrong=wrong).is_kept is is_kept


@pytest.mark.parametrize(
    ("seconds", "wrong", "is_kept"), [(10.0, 0, True), (10.1, 0, False), (1.0, 1, False)]
)
def test_p5_ten_times_imapclient_with_every_account_asked(seconds, wrong, is_kept):
    ours = {"count": 1_000, "seconds": seconds, "wrong": wrong}
    result = polling._result([(ours, {"count": 50, "seconds": 5.0})])
    assert [row.is_kept for row in result.rows] == [is_kept]


def test_the_table_names_what_is_missed_and_a_busy_machine():
    row = importing._memory(200_000_000, 10)
    text = render([Result([row], ["Slowest to fastest …"])])
    assert "| P4 | 200 MB with 10 mails | – | – | ≤ 150 MB | **no** |" in text
    assert "* Slowest to fastest …" in text
    assert "ratios prove little" in load_note(before=2.2)
    assert "a quiet machine" in load_note(before=0.1)
