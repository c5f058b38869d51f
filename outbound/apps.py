"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OutboundConfig(AppConfig):
    """Outgoing mail: choose the account, compose, queue, deliver, copy to Sent."""

    name = "outbound"
    verbose_name = _("Outbox")
