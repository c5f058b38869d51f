"""Every URL × every role, from one table; a URL without a row fails."""

import pytest

from tests.web.markup import problems_of
from tests.web.matrix import OK, ROLES, Row, patterns
from tests.web.table import ROWS

HTML_PAGES = [row for row in ROWS if row.method == "get" and row.answer == OK and not row.case]


def request(client, row: Row, url: str, world):
    if row.method == "post":
        return client.post(url, row.data(world))
    return client.get(url)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_w1_each_role_gets_exactly_what_the_table_says(row, world, as_role):
    found = {}
    for role in ROLES:
        if row.case == "visitor" and role != "anon":
            continue
        found[role] = request(as_role(role), row, row.url(world), world).status_code
    assert found == {role: row.expected(role) for role in found}


@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "get"], ids=lambda row: row.label)
def test_w1_fragments_are_guarded_like_pages(row, world, as_role):
    """htmx is let in where the page is, and nowhere else; visitors are told to load the login."""
    for role in ROLES:
        if row.case == "visitor":
            continue
        status = as_role(role).get(row.url(world), headers={"HX-Request": "true"}).status_code
        expected = row.expected(role)
        assert status == (204 if role == "anon" and expected == 302 else expected), role


def test_w1_every_url_pattern_stands_in_the_table():
    known = {row.name for row in ROWS}
    missing = sorted({name for name, _pattern in patterns()} - known)
    assert missing == [], "add rows to tests/web/table_<room>.py"


def test_w1_every_row_has_a_url_pattern():
    assert sorted({row.name for row in ROWS} - {name for name, _pattern in patterns()}) == []


@pytest.mark.parametrize("row", HTML_PAGES, ids=lambda row: row.label)
def test_every_page_is_sound_html(row, world, as_role):
    """Labels, names of controls, references, no inline code: what axe would find first."""
    role = row.ok[-1] if row.ok else "anon"
    response = as_role(role).get(row.url(world))
    if not response["Content-Type"].startswith("text/html"):
        pytest.skip("no page")
    text = b"".join(response.streaming_content) if response.streaming else response.content
    whole = b"<html" in text
    assert problems_of(text.decode(), whole_page=whole) == []
