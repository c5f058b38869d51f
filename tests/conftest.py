"""Fixtures every test may use."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from jobs import instance
from masterdata import roles

pytest_plugins = ["tests.fixtures_log", "tests.fixtures_mail", "tests.fixtures_oauth"]


@pytest.fixture
def make_user(db):
    """Create a user: ``make_user("agent", superuser=False)`` puts it into those roles."""
    count = 0

    def make(*role_names: str, superuser: bool = False, username: str = "") -> User:
        nonlocal count
        count += 1
        name = username or f"{(role_names or ('user',))[0]}{count}"
        user = User.objects.create_user(
            name, f"{name}@erp.example", "test-password-123", is_superuser=superuser
        )
        # Made by a migration, but a test that empties the database (transaction=True) takes roles along.
        user.groups.set(Group.objects.get_or_create(name=role)[0] for role in role_names)
        return user

    return make


@pytest.fixture
def mail_administrator(make_user) -> User:
    """A mail administrator."""
    return make_user(roles.MAIL_ADMINISTRATOR)


@pytest.fixture
def agent(make_user) -> User:
    """A support agent without queues yet."""
    return make_user(roles.AGENT)


@pytest.fixture
def original(db) -> None:
    """This database is the original, not a copy."""
    instance.confirm(by="tests")
