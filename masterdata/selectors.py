"""Reading master data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet

from masterdata.models import Company, Employee, Substitution

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def company() -> Company | None:
    """The one row of basic settings, or None before set-up."""
    return Company.objects.first()


def employees_acting_as(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Employee]:
    """The user's own employee and everyone whom they substitute today (Vertretung)."""
    if not user.is_authenticated:
        return Employee.objects.none()
    substituted = Substitution.objects.running().filter(substitute__user=user)
    return Employee.objects.filter(Q(user=user) | Q(pk__in=substituted.values("employee")))
