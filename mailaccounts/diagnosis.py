"""What went wrong, why, and what to do: every code of a :class:`MailError` in the user's language.

Words follow one pattern: the title says what happened, the cause why, the remedy what now. Nobody is blamed.
The server's own reply stays verbatim beside them (``Explanation.reply``), never instead of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mailaccounts.diagnosis_texts import TEXTS, UNKNOWN

_GOOGLE_ADVICE = _(
    "Google accepts app passwords only: Google account → Security → 2-step verification → App passwords."
)
_PROVIDER_ADVICE: dict[str, str | Promise] = {
    "gmail": _GOOGLE_ADVICE,
    "googlemail": _GOOGLE_ADVICE,
    "gmx": _("At GMX, access by other programs must be allowed first: Settings → POP3/IMAP."),
    "web.de": _("At WEB.DE, access by other programs must be allowed first: Settings → POP3/IMAP."),
    "t-online": _("T-Online wants the e-mail password from the customer centre, not the website's."),
}
_LOGIN_CODES = frozenset({"authentication_failed", "app-password-required", "imap-disabled"})


@dataclass(frozen=True, slots=True)
class Explanation:
    """Translated texts: what happened, why, what to do. ``reply``: the other side's words, unescaped."""

    title: str
    cause: str
    remedy: str
    reply: str = ""


def explain(code: str, detail: str = "", *, host: str = "") -> Explanation:
    """Explain ``code`` in the active language; unknown codes get a general text that names them."""
    title, cause, remedy = TEXTS.get(_family(code), UNKNOWN)
    words = {"host": host or gettext("the server"), "code": code}
    advice = _advice(code, host)
    return Explanation(
        title=str(title) % words,
        cause=str(cause) % words,
        remedy=" ".join(filter(None, [str(remedy) % words, advice])),
        reply=detail,
    )


def _family(code: str) -> str:
    return "mail_program_failed" if code.startswith("mail-program-exit-") else code


def _advice(code: str, host: str) -> str:
    if code not in _LOGIN_CODES:
        return ""
    return next((str(text) for provider, text in _PROVIDER_ADVICE.items() if provider in host.lower()), "")
