"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CockpitConfig(AppConfig):
    """What spans the rooms: start page, health, first steps, the demo."""

    name = "cockpit"
    verbose_name = _("Cockpit")
