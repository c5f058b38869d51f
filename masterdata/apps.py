"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MasterdataConfig(AppConfig):
    """Company, projects, addresses, employees, roles and login."""

    name = "masterdata"
    verbose_name = _("Master data")
