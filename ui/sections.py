"""Sections of one object, each its own tab, form and URL, registered by the room that owns the options.

An app that has options for an account writes ``account_sections.py`` with::

    account_sections.register(
        Section(slug="tickets", label=_("Ticket system"), form=TicketOptionsForm, order=30)
    )

The page of the account never imports the app. All saving goes through :func:`save_section`: the options, the
audit entry and the fencing of running work stand in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from django.db import transaction
from django.db.models import Model
from django.utils.functional import Promise

from audit import services as audit

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.http import HttpRequest


class SectionForm(Protocol):
    """What a section needs of its form: a ModelForm whose instance belongs to the owner."""

    instance: Model

    def is_valid(self) -> bool:
        """Django's own."""
        ...

    def has_changed(self) -> bool:
        """Django's own."""
        ...

    def save(self) -> Model:
        """Django's own."""
        ...


Predicate = Callable[["AbstractBaseUser | AnonymousUser", Any], bool]


def always(_user: AbstractBaseUser | AnonymousUser, _owner: Any) -> bool:
    """Predicate for what everybody may who sees the owner."""
    return True


@dataclass(frozen=True, slots=True)
class Section:
    """One tab. ``form`` is called as ``form(owner=…, user=…, data=…, files=…)`` and is a ModelForm."""

    slug: str
    label: str | Promise
    form: Callable[..., Any]
    order: int
    template: str = "ui/section.html"
    is_on: Callable[[Any], bool] | None = None
    may_edit: Predicate = always
    may_view: Predicate = always
    extra_context: Callable[[HttpRequest, Any], dict[str, Any]] | None = None
    secrets: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """A button in the head of the owner's page; POSTs to ``url(owner)``."""

    slug: str
    label: str | Promise
    icon: str
    url: Callable[[Any], str]
    order: int = 50
    may_use: Predicate = always


@dataclass(slots=True)
class SectionRegistry:
    """The sections and actions of one kind of owner."""

    sections: list[Section] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    def register(self, section: Section) -> None:
        """Add a tab; a slug registered twice is a programming error."""
        if any(known.slug == section.slug for known in self.sections):
            raise ValueError(f"Section {section.slug!r} is registered already")
        self.sections.append(section)
        self.sections.sort(key=lambda known: known.order)

    def register_action(self, action: Action) -> None:
        """Add a button."""
        self.actions.append(action)
        self.actions.sort(key=lambda known: known.order)

    def find(self, slug: str) -> Section | None:
        """The section with that slug."""
        return next((section for section in self.sections if section.slug == slug), None)

    def visible_to(self, user: AbstractBaseUser | AnonymousUser, owner: Any) -> list[Section]:
        """Tabs the user may open for this owner."""
        return [section for section in self.sections if section.may_view(user, owner)]


account_sections = SectionRegistry()


def save_section(
    *,
    section: Section,
    form: Any,
    owner: Model,
    by: AbstractBaseUser,
    fence: Callable[[], None],
) -> Model:
    """Save a valid form with its audit entry, and fence off work that runs under the old settings.

    ``fence`` revokes the owner's leases. The form names what is audited: its ``audited_state()`` where it has
    one (a dict), else its model fields.
    """
    with transaction.atomic():
        if form.has_changed():
            fence()  # before the first row is touched: running work takes its lease first, too
        before = audited_state(form, form.instance.__class__.objects.filter(pk=form.instance.pk).first())
        saved: Model = form.save()
        changes = audit.differences(before, audited_state(form, saved), secrets=section.secrets)
        if changes:
            audit.record(action=f"section.{section.slug}", obj=owner, by=by, changes=changes)
    return saved


def audited_state(form: Any, instance: Model | None) -> dict[str, Any]:
    """What the audit record compares before and after."""
    if hasattr(form, "audited_state"):
        state: dict[str, Any] = form.audited_state(instance)
        return state
    if instance is None:
        return {}
    names = [name for name in form.fields if name in {f.name for f in instance._meta.concrete_fields}]  # noqa: SLF001  # Django documents it as public
    return audit.snapshot(instance, names)
