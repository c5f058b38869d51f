"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """Leases, heartbeats and the identity of this installation: what background work needs to be safe."""

    name = "jobs"
    verbose_name = _("Jobs")
