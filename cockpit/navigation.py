"""Entries of the left navigation."""

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from ui.navigation import NavItem, register

register(
    NavItem(
        _("Start"), "home", "cockpit:start", group="", order=10, may_see=lambda user: user.is_authenticated
    )
)
if settings.DEMO_FOLDER:
    register(
        NavItem(
            _("Demo mailboxes"), "inbox", "cockpit:demo_mailboxes", group="mail", order=90,
            may_see=lambda user: user.is_authenticated,
        )
    )  # fmt: skip
