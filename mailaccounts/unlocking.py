"""What a stored password unlocks, and when it must be forgotten (T7).

Whoever may edit an account must not be able to send its stored password to a server of their own choosing:
change the host, press *test*, read the password there. So a password belongs to the servers it was entered
for. When one of them changes, the password is erased, unless it is entered anew in the same save.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailaccounts.models import ImapSettings, SmtpSettings
from mailaccounts.presets import preset_for_hosts


@dataclass(frozen=True, slots=True)
class Target:
    """One login: where the password is sent to, how protected, and as whom."""

    protocol: str
    host: str
    port: int
    security: str
    username: str


def imap_password_targets(imap: ImapSettings | None, smtp: SmtpSettings | None) -> frozenset[Target]:
    """Logins made with the IMAP password: IMAP's own, and SMTP's while it borrows the login."""
    if imap is None or not imap.host:
        return frozenset()
    targets = {_target("imap", imap, imap.username)}
    if smtp is not None and _asks_for_login(smtp) and not smtp.has_own_login:
        targets.add(_target("smtp", smtp, imap.username))
    return frozenset(targets)


def smtp_password_targets(smtp: SmtpSettings | None) -> frozenset[Target]:
    """Logins made with SMTP's own password, switched on or not: off and on again changes nothing."""
    if smtp is None or not smtp.host:
        return frozenset()
    return frozenset({_target("smtp", smtp, smtp.username)})


def must_forget(before: frozenset[Target], after: frozenset[Target]) -> bool:
    """Whether a password entered for ``before`` may not serve ``after``.

    Switching SMTP on for the first time passes where that tells the password to nobody new: the same host
    with the same protection, or the very provider whose mailbox it is.
    """
    new = after - before
    changed_protocols = {target.protocol for target in before - after}
    return any(target.protocol in changed_protocols or not _knows_already(before, target) for target in new)


def _knows_already(known: frozenset[Target], target: Target) -> bool:
    return any(
        target.username == other.username
        and (target.security != "none" or other.security == "none")
        and _is_same_provider(other, target)
        for other in known
    )


def _is_same_provider(known: Target, target: Target) -> bool:
    return known.host == target.host or preset_for_hosts(known.host, target.host) is not None


def _asks_for_login(smtp: SmtpSettings) -> bool:
    return (
        smtp.is_enabled
        and smtp.transport == SmtpSettings.Transport.SMTP
        and smtp.authentication == SmtpSettings.Authentication.PASSWORD
    )


def _target(protocol: str, row: ImapSettings | SmtpSettings, username: str) -> Target:
    return Target(protocol, row.host.lower().rstrip("."), row.port, row.security, username)
