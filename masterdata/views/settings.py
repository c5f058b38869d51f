"""The index of settings, and the one page of basic settings."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from masterdata import access
from masterdata.forms import CompanyForm
from masterdata.models import Company
from ui import settings_pages
from ui.views import FormPage, PageMixin
from ui.views.base import Crumb


class SettingsIndex(PageMixin):
    """All pages of settings this user may open."""

    template_name = "masterdata/settings.html"
    heading = gettext_lazy("Settings")

    def may_use(self, user: Any) -> bool:
        """Whoever finds at least one page here."""
        return bool(settings_pages.pages_for(user))

    def get(self, request: HttpRequest) -> HttpResponse:
        """The index."""
        return self.render(pages=settings_pages.pages_for(request.user))


def settings_crumb() -> Crumb:
    """The way back to the index."""
    return _("Settings"), reverse("masterdata:settings")


class CompanyPage(access.ForMailAdministrators, FormPage[Company]):
    """Basic settings (Grundeinstellungen): one row, made when it is saved first."""

    form_class = CompanyForm
    queryset = Company.objects.all()
    heading = gettext_lazy("Basic settings")

    def get_object(self) -> Company | None:
        """The row, or None before set-up."""
        return Company.objects.first()

    def get_heading(self) -> str:
        """The page's name, not the company's."""
        return _("Basic settings")

    def get_success_url(self) -> str:
        """Here again."""
        return reverse("masterdata:company")

    def get_crumbs(self) -> list[Crumb]:
        """Below settings."""
        return [settings_crumb()]
