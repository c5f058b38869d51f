"""Keyset paging: complete, stable, in both directions, at one query a page."""

import datetime as dt

import pytest

from audit.models import AuditEntry
from masterdata.models import Address
from ui.paging import keyset_page

ORDERING = ["city", "-name", "id"]


@pytest.fixture
def addresses(db):
    """Many rows that compare equal in the leading columns."""
    rows = [Address(number=str(n), city=f"Town {n % 3}", name=f"Name {n % 2}") for n in range(23)]
    return Address.objects.bulk_create(rows)


def walk(queryset, ordering, size):
    """All pages forward."""
    pages, cursor = [], None
    while True:
        page = keyset_page(queryset, ordering, cursor, size)
        pages.append(page)
        cursor = page.next_cursor
        if cursor is None:
            return pages


def test_pages_hold_every_row_once_in_order(addresses):
    pages = walk(Address.objects.all(), ORDERING, 5)
    found = [row.pk for page in pages for row in page.items]
    assert found == list(Address.objects.order_by(*ORDERING).values_list("pk", flat=True))
    assert [len(page.items) for page in pages] == [5, 5, 5, 5, 3]


def test_walking_back_shows_the_same_pages(addresses):
    pages = walk(Address.objects.all(), ORDERING, 5)
    page = pages[-1]
    for expected in reversed(pages[:-1]):
        page = keyset_page(Address.objects.all(), ORDERING, page.previous_cursor, 5)
        assert page.items == expected.items
    assert page.previous_cursor is None
    assert page.next_cursor


def test_a_row_inserted_before_does_not_shift_the_next_page(addresses):
    first = keyset_page(Address.objects.all(), ["name", "id"], None, 5)
    expected = list(Address.objects.order_by("name", "id")[5:10])
    Address.objects.create(number="new", name="A first of all")
    assert keyset_page(Address.objects.all(), ["name", "id"], first.next_cursor, 5).items == expected


def test_a_page_costs_one_query_and_no_count(addresses, django_assert_num_queries):
    first = keyset_page(Address.objects.all(), ORDERING, None, 5)
    with django_assert_num_queries(1):
        keyset_page(Address.objects.all(), ORDERING, first.next_cursor, 5)


@pytest.mark.parametrize("cursor", ["", "x", "a:b:c", "eyJ4IjoxfQ:1abc:def", "\0", "x" * 5000])
def test_a_foreign_cursor_shows_the_first_page(addresses, cursor):
    page = keyset_page(Address.objects.all(), ORDERING, cursor, 5)
    assert page.items == keyset_page(Address.objects.all(), ORDERING, None, 5).items
    assert page.previous_cursor is None


def test_a_cursor_of_another_sorting_shows_the_first_page(addresses):
    cursor = keyset_page(Address.objects.all(), ["name", "id"], None, 5).next_cursor
    page = keyset_page(Address.objects.all(), ["-number"], cursor, 5)
    assert page.items == list(Address.objects.order_by("-number")[:5])


def test_times_keep_their_microseconds(db):
    for n in range(7):
        AuditEntry.objects.create(action=f"a{n}", actor_label="x", object_type="y")
    pages = walk(AuditEntry.objects.all(), ["-at", "-id"], 3)
    assert [row.action for page in pages for row in page.items] == [f"a{n}" for n in reversed(range(7))]
    assert all(isinstance(row.at, dt.datetime) for row in pages[0].items)


def test_an_empty_list_has_no_pages(db):
    page = keyset_page(Address.objects.all(), ["id"], None, 5)
    assert (page.items, page.has_other_pages) == ([], False)
