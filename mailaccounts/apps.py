"""App configuration."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class MailaccountsConfig(AppConfig):
    """Accounts, credentials, connections, tests and health."""

    name = "mailaccounts"
    verbose_name = _("E-mail accounts")

    def ready(self) -> None:
        """Register the system checks; their module needs the models, which are not there any earlier."""
        autodiscover_modules("checks")
