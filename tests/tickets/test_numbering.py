"""Ticket numbers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from mailkit.threading import ticket_number_in_subject
from tickets.models import NumberSequence, Queue, Ticket
from tickets.numbering import reserve

DAY = date(2026, 11, 24)


def test_numbers_ascend_within_a_day_and_start_anew_the_next(db):
    assert reserve(2, DAY) == ["20261124-00001", "20261124-00002"]
    assert reserve(1, DAY) == ["20261124-00003"]
    assert reserve(1, date(2026, 11, 25)) == ["20261125-00001"]


def test_the_database_itself_gives_a_number_once(db):
    queue = Queue.objects.create(name="Service")
    made = [
        Ticket.objects.create(
            number=number, queue=queue, created_at=timezone.now(), last_message_at=timezone.now()
        )
        for number in reserve(2, DAY)
    ]
    with pytest.raises(IntegrityError), transaction.atomic():
        Ticket.objects.filter(pk=made[1].pk).update(number=made[0].number)


def test_nothing_is_reserved_for_nobody(db):
    assert reserve(0, DAY) == []
    assert not NumberSequence.objects.exists()


def test_a_full_first_import_does_not_run_out_of_numbers(db):
    NumberSequence.objects.create(day=DAY, last=99_999)
    number = reserve(1, DAY)[0]
    assert number == "20261124-100000"
    assert ticket_number_in_subject(f"Re: Angebot [#{number}]") == number


@pytest.mark.django_db(transaction=True)
def test_reserving_inside_a_transaction_is_refused_as_others_would_wait_for_it():
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        reserve(1, DAY)


@pytest.mark.django_db(transaction=True)
def test_numbers_reserved_at_once_by_eight_threads_are_unique():
    def work(size: int) -> list[str]:
        try:
            return [number for _ in range(10) for number in reserve(size, DAY)]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        numbers = [number for block in pool.map(work, [1, 2, 3, 5, 1, 2, 3, 5]) for number in block]
    assert len(numbers) == 220
    assert len(set(numbers)) == 220
    assert NumberSequence.objects.get(day=DAY).last == 220


class ReservedBlocks(TestCase):
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(0, 60), max_size=12))
    def test_blocks_never_overlap_and_leave_no_gap(self, sizes: list[int]) -> None:
        numbers = [number for size in sizes for number in reserve(size, DAY)]
        assert numbers == [f"20261124-{n:05d}" for n in range(1, sum(sizes) + 1)]
