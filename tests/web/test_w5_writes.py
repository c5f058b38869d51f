"""Writing needs the token; reading writes nothing."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.web.matrix import REFUSED, patterns
from tests.web.table import ROWS

WRITES = re.compile(r"^\s*(INSERT|UPDATE|DELETE|REPLACE|TRUNCATE|ALTER|CREATE|DROP)\b", re.IGNORECASE)
# The session notes when it was used last; a recorded view of a mail's content is recorded by being seen.
ALLOWED = re.compile(r"django_session|INSERT INTO \"audit_auditentry\"", re.IGNORECASE)
URLS = sorted(
    {row.name: row for row in reversed(ROWS) if row.ok or row.public}.values(), key=lambda row: row.name
)


@pytest.fixture
def writes():
    """Statements that changed something while the fixture's context was open."""
    seen = []

    def watch(execute, sql, params, many, context):
        if WRITES.match(sql) and not ALLOWED.search(sql):
            seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield seen


@pytest.mark.parametrize("row", URLS, ids=lambda row: row.name)
def test_w5_a_post_without_the_token_is_refused(row, world):
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users["superuser"])
    for method in (client.post, client.put, client.patch, client.delete):
        assert method(row.url(world)).status_code == REFUSED


@pytest.mark.parametrize("row", URLS, ids=lambda row: row.name)
def test_w5_reading_changes_nothing(row, world, client, writes):
    client.force_login(world.users["superuser"])
    url = row.url(world)
    writes.clear()
    response = client.get(url)
    if response.streaming:
        b"".join(response.streaming_content)
    assert writes == []


def test_w5_no_view_is_exempt_from_the_token():
    exempt = [name for name, pattern in patterns() if getattr(pattern.callback, "csrf_exempt", False)]
    assert exempt == []


def test_w5_the_token_of_another_session_does_not_help(world):
    stranger, client = Client(), Client(enforce_csrf_checks=True)
    token = stranger.get(reverse("login")).context["csrf_token"]
    client.force_login(world.users["superuser"])
    assert (
        client.post(reverse("masterdata:company"), {"name": "x", "csrfmiddlewaretoken": token}).status_code
        == REFUSED
    )


def test_w5_the_origin_is_checked(world):
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users["superuser"])
    token = client.get(reverse("masterdata:company")).context["csrf_token"]
    data = {"name": "Brandis", "csrfmiddlewaretoken": token}
    foreign = client.post(reverse("masterdata:company"), data, headers={"Origin": "https://evil.example"})
    own = client.post(reverse("masterdata:company"), data, headers={"Origin": "http://testserver"})
    assert (foreign.status_code, own.status_code) == (REFUSED, 302)


def test_w5_signing_in_needs_the_token(db):
    client = Client(enforce_csrf_checks=True)
    assert client.post(reverse("login"), {"username": "a", "password": "b"}).status_code == REFUSED
