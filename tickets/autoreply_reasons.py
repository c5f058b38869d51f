"""Why the autoresponder answered or stayed silent, in words; inbound stores the codes with the events."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

REASONS: Mapping[str, Promise] = {
    # What the mail says of itself (mailkit.autosubmitted, RFC 3834).
    "loop": _("the e-mail has been here before"),
    "report": _("the e-mail is a delivery report or a receipt"),
    "auto-submitted": _("a machine wrote the e-mail"),
    "null-return-path": _("the e-mail asks for no answer (empty return path)"),
    "no-valid-from": _("the e-mail names no valid sender"),
    "several-from": _("the e-mail names several senders"),
    "mailing-list": _("the e-mail came over a mailing list"),
    "precedence": _("the e-mail went to many recipients"),
    "auto-response-suppress": _("the sender wants no automatic answers"),
    "auto-reply": _("the e-mail is an automatic answer itself"),
    "system-sender": _("nobody reads the sender's mailbox"),
    # What we know of it (inbound.autoresponder).
    "bounce": _("the e-mail reports a failed delivery"),
    "own-address": _("the e-mail comes from one of our own addresses"),
    "no-valid-sender": _("the e-mail names no valid sender"),
    "authentication-failed": _("the sender could not be verified"),
    "received-before-enabled": _("the e-mail is older than the autoresponder"),
    "received-before-restore": _("the e-mail is older than the restored backup"),
    "too-old": _("the e-mail is older than 24 hours"),
    "already-answered-today": _("the sender has had an automatic answer today"),
    "answered-within-20-hours": _("the sender has had an automatic answer within the last 20 hours"),
    "sender-limit": _("the sender has had 5 automatic answers today"),
    "account-limit": _("the account has sent 300 automatic answers within an hour"),
    "no-transport": _("no account may send from the answering address"),
    "invalid-recipient": _("the sender's address cannot be written to"),
}


def reason_text(code: str) -> str:
    """The reason in words; a code that this version does not know is shown as it stands."""
    text = REASONS.get(code)
    return str(text) if text else gettext("reason %(code)s") % {"code": code}
