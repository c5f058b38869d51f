"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ArchiveConfig(AppConfig):
    """Raw mail: the bytes as they came and as they left."""

    name = "archive"
    verbose_name = _("Archive")
