"""Writing master data."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from masterdata.models import Address, Employee

_FIRST_NUMBER = 10_000


def create_address(*, name: str, number: str = "", **fields: Any) -> Address:
    """Create an address; without a ``number`` it gets the next free one.

    The number follows from the row's own key, so that two people creating at once never get the same.
    """
    with transaction.atomic():
        address = Address.objects.create(name=name, number=number or f"new-{uuid.uuid4().hex[:20]}", **fields)
        if not number:
            give_number(address=address)
    return address


def give_number(*, address: Address) -> None:
    """Number a saved address by its key; a number somebody chose by hand before is stepped over."""
    candidate = _FIRST_NUMBER + address.pk
    while Address.objects.filter(number=str(candidate)).exclude(pk=address.pk).exists():
        candidate += _FIRST_NUMBER
    address.number = str(candidate)
    address.save(update_fields=["number"])


def link_employee(*, user: User, employee: Employee | None) -> None:
    """Make ``employee`` the one who signs in as ``user``; None unlinks."""
    with transaction.atomic():
        before = Employee.objects.filter(user=user)
        (before.exclude(pk=employee.pk) if employee else before).update(user=None)
        if employee is not None:
            employee.user = user
            employee.save(update_fields=["user"])
