"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TicketsConfig(AppConfig):
    """Queues, tickets and their conversations."""

    name = "tickets"
    verbose_name = _("Tickets")
