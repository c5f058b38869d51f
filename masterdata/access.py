"""Who may open which page of master data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterdata import roles

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ForMailAdministrators:
    """Company, projects, employees: mail administrators and superusers."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        """Whether this user may open the page."""
        return roles.is_mail_administrator(user)


class ForSuperusers:
    """Users: superusers only."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        """Whether this user may open the page."""
        return roles.is_superuser(user)


class ForAddressUsers:
    """Addresses: everybody who deals with customers, and mail administrators."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        """Whether this user may open the page."""
        return may_use_addresses(user)


class ForAuditReaders:
    """The record of changes: auditors, and mail administrators for settings."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        """Whether this user may open the page."""
        return may_read_audit(user)


def may_use_addresses(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Staff, agents and mail administrators."""
    return roles.is_staff_member(user) or roles.is_mail_administrator(user)


def may_read_audit(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Auditors and mail administrators."""
    return roles.is_auditor(user) or roles.is_mail_administrator(user)


def may_open_settings(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whoever finds at least one page there: mail administrators and auditors."""
    return may_read_audit(user)
