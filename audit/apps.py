"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    """Who changed what, when and from where."""

    name = "audit"
    verbose_name = _("Audit")
