"""App configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InboundConfig(AppConfig):
    """Discover, fetch, store, decide, import, answer: the ledger that adds up."""

    name = "inbound"
    verbose_name = _("Incoming mail")
