"""Reading master data."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Q, QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from audit.models import AuditEntry
from masterdata import roles
from masterdata.models import Company, Employee, Substitution

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

# What counts as settings in the record of changes: the rest may name tickets and mails.
_SETTINGS_APPS = ("mailaccounts.", "masterdata.", "auth.", "jobs.")
_SETTINGS_TYPES = ("", "tickets.queue", "tickets.ticketoptions", "inbound.autoresponderoptions")


def company() -> Company | None:
    """The one row of basic settings, or None before set-up."""
    return Company.objects.first()


def employees_acting_as(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Employee]:
    """The user's own employee and everyone whom they substitute today (Vertretung)."""
    if not isinstance(user, User):
        return Employee.objects.none()
    substituted = Substitution.objects.running().filter(substitute__user=user)
    return Employee.objects.filter(Q(user=user) | Q(pk__in=substituted.values("employee")))


def audit_entries_for(user: AbstractBaseUser | AnonymousUser) -> QuerySet[AuditEntry]:
    """Entries the user may read: auditors all of them, mail administrators those about settings."""
    if roles.is_auditor(user):
        return AuditEntry.objects.all()
    if not roles.is_mail_administrator(user):
        return AuditEntry.objects.none()
    about_settings = Q(object_type__in=_SETTINGS_TYPES)
    for app in _SETTINGS_APPS:
        about_settings |= Q(object_type__startswith=app)
    return AuditEntry.objects.filter(about_settings)


def field_label(model: str, name: str, *, section: str = "") -> str:
    """The name of a field as forms show it: "prefer_own_email" → "Eigene E-Mail bevorzugen".

    A section's options stand in a model of their own, named like the section, below the model recorded.
    """
    try:
        found = _field(model, name, section)
    except (LookupError, ValueError, FieldDoesNotExist):
        return _(capfirst(name.replace("_", " ")))
    related: Any = found.related_model
    named = str(found.verbose_name) if isinstance(found, Field) else str(related._meta.verbose_name_plural)  # noqa: SLF001  # Django documents it as public
    return capfirst(named)


def _field(model: str, name: str, section: str) -> Any:
    owner = apps.get_model(model)
    accessors = {section, f"{section.removesuffix('s')}_options"}
    for related in owner._meta.related_objects:  # noqa: SLF001  # Django documents it as public
        if related.one_to_one and related.get_accessor_name() in accessors:
            with suppress(FieldDoesNotExist):
                return related.related_model._meta.get_field(name)  # noqa: SLF001  # Django documents it as public
    return owner._meta.get_field(name)  # noqa: SLF001  # Django documents it as public


def model_label(name: str) -> str:
    """The name of a model in the reader's language: "masterdata.project" → "Projekt"."""
    try:
        return str(apps.get_model(name)._meta.verbose_name)  # noqa: SLF001  # Django documents it as public
    except (LookupError, ValueError):
        return name
