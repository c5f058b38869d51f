"""What an IMAP server's refusal means: response codes (RFC 5530) first, then the words that providers use."""

from __future__ import annotations

import re

from mailkit.errors import AuthenticationFailed, MailboxUnavailable, MailError

_I = re.IGNORECASE
_CODE = re.compile(r"\[([A-Z-]+)")

_MAILBOX_CODE_BY_RESPONSE_CODE = {
    "NONEXISTENT": "no-such-folder",
    "TRYCREATE": "no-such-folder",
    "OVERQUOTA": "over-quota",
    "READ-ONLY": "read-only",
    "NOPERM": "read-only",
    "UNAVAILABLE": "unavailable",
    "SERVERBUG": "unavailable",
    "INUSE": "unavailable",
    "LIMIT": "unavailable",
}
_MAILBOX_CODE_BY_WORDS = (
    (re.compile(r"n.t exist|not exist|not found|(unknown|no such) (mailbox|folder)", _I), "no-such-folder"),
    (re.compile(r"quota|mailbox (is )?full", _I), "over-quota"),
    (re.compile(r"read-?only|permission denied|not writable", _I), "read-only"),
)  # fmt: skip

# Gmail, Yahoo and iCloud; Gmail and GMX; Gmail and Dovecot; Microsoft; anyone.
_LOGIN_CODE_BY_WORDS = (
    (re.compile(r"app(lication)?[- ]?(specific )?password", _I), "app-password-required"),
    (re.compile(r"enabled? (for )?imap|imap (access |is )?(not enabled|disabled)", _I), "imap-disabled"),
    (re.compile(r"too many|maximum number|authenticated but not connected", _I), "too-many-connections"),
    (re.compile(r"basic auth\w* is (disabled|blocked)|basicauthblocked", _I), "oauth-required"),
    (re.compile(r"temporar|try again|unavailable|internal error|server error", _I), "unavailable"),
)  # fmt: skip
_LOGIN_CODE_BY_RESPONSE_CODE = {
    "LIMIT": "too-many-connections",
    "UNAVAILABLE": "unavailable",
    "INUSE": "unavailable",
    "SERVERBUG": "unavailable",
    "CONTACTADMIN": "imap-disabled",
}


def mailbox_error(words: str) -> MailboxUnavailable:
    """Translate a NO to anything but a login. Without a hint the code stays ``mailbox_unavailable``."""
    return MailboxUnavailable(
        words, code=_by_response_code(words, _MAILBOX_CODE_BY_RESPONSE_CODE) or _mailbox_words(words)
    )


def _mailbox_words(words: str) -> str | None:
    return next((code for pattern, code in _MAILBOX_CODE_BY_WORDS if pattern.search(words)), None)


def login_error(words: str) -> AuthenticationFailed:
    """Translate a NO to a login. Code ``authentication_failed`` means: wrong user name or password.

    Other codes: ``app-password-required``, ``imap-disabled``, ``too-many-connections``, ``oauth-required``,
    ``unavailable``. The last two words of that list say nothing about the password: it need not be changed.
    """
    return AuthenticationFailed(words, code=login_code(words))


def login_code(words: str) -> str | None:
    """Return the code for a refused login of IMAP or SMTP, None when the words hint at nothing."""
    by_words = next((code for pattern, code in _LOGIN_CODE_BY_WORDS if pattern.search(words)), None)
    return by_words or _by_response_code(words, _LOGIN_CODE_BY_RESPONSE_CODE)


def _by_response_code(words: str, table: dict[str, str]) -> str | None:
    match = _CODE.search(words)
    return table.get(match.group(1)) if match else None


def is_temporary(error: MailError) -> bool:
    """Tell whether waiting may help: the refusal says nothing about the settings."""
    return error.code in {"unavailable", "too-many-connections"}
