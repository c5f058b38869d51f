"""Why the autoresponder answered or stayed silent, in words; inbound stores the codes with the events."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext as _

REASONS: Mapping[str, Promise] = {}


def reason_text(code: str) -> str:
    """The reason in words; a code that this version does not know is shown as it stands."""
    text = REASONS.get(code)
    return str(text) if text else _("reason %(code)s") % {"code": code}
