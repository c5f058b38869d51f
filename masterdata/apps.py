"""App configuration."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class MasterdataConfig(AppConfig):
    """Company, projects, addresses, employees, roles and login."""

    name = "masterdata"
    verbose_name = _("Master data")

    def ready(self) -> None:
        """Let the rooms above register what they tell on the page of an address."""
        autodiscover_modules("timeline")
