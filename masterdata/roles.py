"""Roles are Django groups; these predicates are the only place that knows their names.

The superuser is administrator everywhere, but reading mail as superuser is recorded (reliability.md §5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

MAIL_ADMINISTRATOR = "mail_administrator"
STAFF = "staff"
AGENT = "agent"
AUDITOR = "auditor"

# A cache on the request's user object.
_CACHE = "_role_names"

LABELS = {
    MAIL_ADMINISTRATOR: _("Mail administrator"),
    STAFF: _("Staff"),
    AGENT: _("Support agent"),
    AUDITOR: _("Auditor"),
}


def role_names(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    """Names of the user's groups, read once per request object."""
    cached: frozenset[str] | None = getattr(user, _CACHE, None)
    if cached is None:
        groups = getattr(user, "groups", None)
        active = user.is_authenticated and getattr(user, "is_active", False)
        cached = (
            frozenset(groups.values_list("name", flat=True)) if active and groups is not None else frozenset()
        )
        setattr(user, _CACHE, cached)
    return cached


def is_superuser(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the user is an active superuser."""
    return bool(
        user.is_authenticated and getattr(user, "is_active", False) and getattr(user, "is_superuser", False)
    )


def is_mail_administrator(user: AbstractBaseUser | AnonymousUser) -> bool:
    """May create, edit, retire and test accounts and work the quarantine."""
    return is_superuser(user) or MAIL_ADMINISTRATOR in role_names(user)


def is_staff_member(user: AbstractBaseUser | AnonymousUser) -> bool:
    """May send from company accounts open to all staff; agents are staff too."""
    return is_superuser(user) or bool({STAFF, AGENT} & role_names(user))


def is_agent(user: AbstractBaseUser | AnonymousUser) -> bool:
    """May work tickets of the queues granted to them."""
    return is_superuser(user) or AGENT in role_names(user)


def is_auditor(user: AbstractBaseUser | AnonymousUser) -> bool:
    """May read the audit record and, later, the archive."""
    return is_superuser(user) or AUDITOR in role_names(user)
