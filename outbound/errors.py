"""What can stand in the way of sending, in the user's words."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class OutboundError(Exception):
    """Base: ``str()`` is a translated sentence that a page may show as it is."""


class NoTransport(OutboundError):
    """No account may transport mail from ``address`` (product §3): nothing leaves through a stranger."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(address)

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}"

    @property
    def cause(self) -> str:
        """What is missing."""
        return str(_("No e-mail account with SMTP sends for %(address)s.")) % {"address": self.address}

    @property
    def remedy(self) -> str:
        """What a mail administrator can do about it."""
        return str(
            _(
                "A mail administrator can switch SMTP on for the account with this address, or list the "
                "address (or its domain) under further senders of another account."
            )
        )


class NotPossible(OutboundError):
    """The mail's state does not allow the step; ``code`` is stable: a key of ``_REASONS``."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)

    def __str__(self) -> str:
        return str(_REASONS.get(self.code, self.code))


_REASONS: dict[str, str | Promise] = {
    "not_queued": _("This e-mail is no longer waiting: it is on its way, or its fate is settled."),
    "not_final": _("This e-mail neither failed nor is it uncertain, so there is nothing to repeat."),
    "not_uncertain": _("Only an uncertain delivery can be marked as arrived."),
    "not_failed": _("Only a failed delivery can be marked as done."),
    "decided": _("Somebody has already decided about this e-mail."),
    "auto_reply": _("An automatic answer whose delivery is uncertain is never repeated."),
    "unconfirmed": _("The e-mail may have arrived. Sending it again needs a confirmation."),
    "nobody_left": _("Every recipient has received this e-mail."),
    "no_copy_wanted": _("The account does not copy sent mail into a folder."),
    "not_sent": _("Only mail that was sent is copied to the Sent folder."),
}
