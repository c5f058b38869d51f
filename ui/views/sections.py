"""The page of an owner whose options lie in registered sections, one tab and URL each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from ui.sections import Section, SectionRegistry, save_section
from ui.views.base import PageMixin

M = TypeVar("M", bound=Model)


class SectionPage(PageMixin, ABC, Generic[M]):
    """Shows one section of an owner and saves it.

    Subclasses give ``registry``, ``get_owner`` (scoped, Http404), ``get_section_url`` and ``fence`` (revoke
    what runs under the old settings). The template extends ``ui/section_page.html``; ``section.template`` is
    included in it.
    """

    template_name = "ui/section_page.html"
    registry: SectionRegistry
    owner: M
    section: Section

    @abstractmethod
    def get_owner(self) -> M:
        """The owner of the URL, among those the user may see."""

    @abstractmethod
    def get_section_url(self, section: Section) -> str:
        """URL of a tab."""

    @abstractmethod
    def fence(self) -> None:
        """Stop work that runs under the old settings; called inside the saving transaction."""

    def get_tone(self, section: Section) -> str:  # noqa: ARG002  # for subclasses
        """Tone of the dot on a tab; "" for none."""
        return ""

    def get_slug(self) -> str:
        """Slug of the section asked for; the first visible one without."""
        slug: str = self.kwargs.get("slug") or ""
        return slug or next((s.slug for s in self.registry.visible_to(self.user, self.owner)), "")

    def load(self) -> None:
        """Find owner and section; Http404 where either is not there for this user."""
        self.owner = self.get_owner()
        section = self.registry.find(self.get_slug())
        if section is None or not section.may_view(self.user, self.owner):
            raise Http404
        self.section = section

    def get(self, _request: HttpRequest, /, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Show the section."""
        self.load()
        return self.render(form=self.get_form())

    def post(self, request: HttpRequest, /, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Save the section with its audit entry and fence."""
        self.load()
        if not self.section.may_edit(self.user, self.owner):
            raise PermissionDenied
        form = self.get_form(data=request.POST, files=request.FILES)
        if not form.is_valid():
            return self.render(form=form, status=422)
        save_section(section=self.section, form=form, owner=self.owner, by=self.user, fence=self.fence)
        messages.success(request, _("Saved."))
        return redirect(self.get_section_url(self.section))

    def get_form(self, **data: Any) -> Any:
        """The section's form; its fields are disabled where the user may only look."""
        form = self.section.form(owner=self.owner, user=self.user, **{"data": None, "files": None} | data)
        if not self.section.may_edit(self.user, self.owner):
            for field in form.fields.values():
                field.disabled = True
        return form

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds tabs, actions and what the section wants to show besides its form."""
        more = self.section.extra_context(self.request, self.owner) if self.section.extra_context else {}
        own = {
            "owner": self.owner,
            "section": self.section,
            "tabs": self._tabs(),
            "section_actions": self._actions(),
        }
        may_edit = self.section.may_edit(self.user, self.owner)
        return super().get_context_data(**own, may_edit=may_edit, **more, **kwargs)

    def _tabs(self) -> list[dict[str, Any]]:
        return [
            {
                "label": section.label,
                "url": self.get_section_url(section),
                "current": section is self.section,
                "is_off": section.is_on is not None and not section.is_on(self.owner),
                "tone": self.get_tone(section),
            }
            for section in self.registry.visible_to(self.user, self.owner)
        ]

    def _actions(self) -> list[dict[str, Any]]:
        return [
            {"label": action.label, "icon": action.icon, "url": action.url(self.owner)}
            for action in self.registry.actions
            if action.may_use(self.user, self.owner)
        ]
