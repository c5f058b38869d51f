"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MailaccountsConfig(AppConfig):
    """Accounts, credentials, connections, tests and health."""

    name = "mailaccounts"
    verbose_name = _("E-mail accounts")
