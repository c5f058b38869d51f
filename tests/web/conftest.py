"""One world with an object of each kind, and one user a role."""

from __future__ import annotations

import pytest

from masterdata.models import Address, Company, ContactPerson, Employee, Project
from tests.web.matrix import ROLES, World
from tests.web.table import TABLES


@pytest.fixture
def world(make_user, original) -> World:
    """Users by role, and master data."""
    users = {
        role: make_user(role, username=f"the-{role}")
        for role in ROLES
        if role not in ("anon", "nobody", "owner", "superuser")
    }
    users |= {"anon": None} | {name: make_user(username=f"the-{name}") for name in ("nobody", "owner")}
    users["superuser"] = make_user(superuser=True, username="the-superuser")
    address = Address.objects.create(number="A1", name="Brandis", is_employee=True)
    ContactPerson.objects.create(address=address, name="Karl")
    things = {
        "company": Company.objects.create(name="Brandis Fördertechnik"),
        "project": Project.objects.create(name="Wartung", key="w"),
        "address": address,
        "employee": Employee.objects.create(address=address, user=users["staff"]),
        "user": make_user("staff", username="the-colleague"),
    }
    world = World(users, things)
    for table in TABLES:
        getattr(table, "prepare", lambda _world: None)(world)
    return world


@pytest.fixture
def as_role(client, world):
    """A client signed in as a role: ``as_role("staff")``."""

    def sign_in(role: str):
        client.logout()
        if world.users[role] is not None:
            client.force_login(world.users[role])
        return client

    return sign_in
