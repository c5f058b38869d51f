"""How polls read on pages and in the terminal."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from inbound import polling
from mailaccounts.diagnosis import explain

_OWN: dict[str, Promise] = {
    polling.ALREADY_POLLING: _("The account is being polled already. The result will show on its page."),
    polling.SETTINGS_CHANGED: _(
        "The settings were changed meanwhile, so the poll stopped. The next one uses the new ones."
    ),
    polling.UNCONFIRMED_COPY: _(
        "This database was last run by another installation. "
        "Nothing is polled until an administrator confirms it."
    ),
    polling.ON_HOLD: _("The account is on hold. Nothing is polled until it is continued."),
}


def error_sentence(code: str, detail: str = "", *, host: str = "") -> str:
    """One or two sentences: what happened and what to do."""
    if code in _OWN:
        return str(_OWN[code])
    told = explain(code, detail, host=host)
    title = told.title if told.title.endswith((".", "!", "?")) else f"{told.title}."
    return " ".join(filter(None, (title, told.cause, told.remedy)))
