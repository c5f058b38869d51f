"""App configuration."""

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from jobs import log_lines


class JobsConfig(AppConfig):
    """Leases, heartbeats and the identity of this installation: what background work needs to be safe."""

    name = "jobs"
    verbose_name = _("Jobs")

    def ready(self) -> None:
        """Let no process tell its log more than our own lines do."""
        if not settings.DEBUG:
            log_lines.tell_uncaught()
