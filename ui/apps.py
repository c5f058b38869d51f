"""App configuration."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class UiConfig(AppConfig):
    """The frame of every page: generic views, section tabs, navigation, template tags."""

    name = "ui"
    verbose_name = _("UI")

    def ready(self) -> None:
        """Let every room register sections and navigation; importing them from apps.py would be too early."""
        autodiscover_modules("navigation", "account_sections")
