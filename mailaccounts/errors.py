"""Errors of this room that others tell apart; the rest are mailkit's."""

from __future__ import annotations

from mailkit.errors import MailError


class AccountNotReady(MailError):
    """The account's settings do not allow this connection until a person acts.

    ``code``: account_retired, imap_missing, smtp_off, password_missing, smtp_login_missing,
    oauth_not_connected, oauth_reconnect_needed, oauth_host_not_allowed.
    """

    code = "account_not_ready"
