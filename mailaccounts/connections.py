"""The way from an account's settings to a logged-in session: decrypt, vet, connect, secure, log in.

Besides :mod:`mailaccounts.credentials` and the ``oauth_`` modules the only place where secrets exist in the
clear, and only for the length of one login. What the environment allows to dial is decided here, never by a
form.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist

from mailaccounts import credentials, oauth_tokens
from mailaccounts.errors import AccountNotReady
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from mailkit.endpoint import Login, PasswordLogin
from mailkit.errors import AuthenticationFailed, InvalidArgument
from mailkit.imap import ImapEndpoint, ImapSession
from mailkit.network import NetworkPolicy, Security, ascii_host
from mailkit.smtp import LocalMailProgram, MailTransport, SmtpEndpoint, SmtpSession

_SECURITY: dict[str, Security] = {"tls": "tls", "starttls": "starttls", "none": "none"}


@dataclass(frozen=True, slots=True)
class ImapAccess:
    """All that a connection needs, read beforehand: :meth:`open` makes no query, so threads may call it."""

    endpoint: ImapEndpoint
    login: Login

    def open(self) -> ImapSession:
        """Connect and log in; a context manager. Raises the errors of :meth:`ImapSession.open`."""
        return ImapSession.open(self.endpoint, self.login)


@dataclass(frozen=True, slots=True)
class SmtpAccess:
    """The same for sending through a server; ``login`` is None where a relay asks for none."""

    endpoint: SmtpEndpoint
    login: Login | None

    def open(self, *, transcript: list[str] | None = None) -> SmtpSession:
        """Connect and log in; a context manager. Raises the errors of :meth:`SmtpSession.open`."""
        return SmtpSession.open(self.endpoint, self.login, transcript=transcript)


def network_policy() -> NetworkPolicy:
    """What the environment allows to dial (``MAIL_ALLOWED_…``, ``MAIL_PLAINTEXT_NETWORKS``)."""
    return NetworkPolicy.from_strings(
        settings.MAIL_ALLOWED_NETWORKS,
        ports=settings.MAIL_ALLOWED_PORTS,
        plaintext=settings.MAIL_PLAINTEXT_NETWORKS,
    )


def open_imap(account: MailAccount) -> ImapSession:
    """Open the account's mailbox; use the session in a ``with`` statement.

    Raises :class:`MailError`: :class:`AccountNotReady` for missing settings, ``CredentialUnreadable``, and
    whatever connecting and logging in can come to.
    """
    return imap_access(account).open()


@contextmanager
def open_smtp(account: MailAccount, *, transcript: list[str] | None = None) -> Iterator[MailTransport]:
    """Open the way out of the account: an SMTP session for many mails, or the local mail program.

    ``transcript`` collects the dialogue with credentials redacted. Raises :class:`MailError` as
    :func:`open_imap` does.
    """
    smtp = _smtp_settings(account)
    if smtp.transport == SmtpSettings.Transport.LOCAL:
        with open_local(account, transcript=transcript) as transport:
            yield transport
        return
    access = smtp_access(account)
    try:
        session = access.open(transcript=transcript)
    except AuthenticationFailed as error:
        oauth_tokens.note_refusal(account.pk, error)
        raise
    with session:
        yield session


@contextmanager
def open_local(account: MailAccount, *, transcript: list[str] | None = None) -> Iterator[MailTransport]:
    """The mail program of this machine or, where there is none, the MTA that listens on it (product §3)."""
    if os.access(settings.SENDMAIL_PATH, os.X_OK):
        yield LocalMailProgram(settings.SENDMAIL_PATH)
        return
    port = settings.LOCAL_MTA_PORT
    endpoint = SmtpEndpoint(
        host="127.0.0.1",
        port=port,
        security="none",
        # The one place that may dial loopback whatever the environment lists: no form names this address.
        policy=NetworkPolicy.from_strings(["loopback"], ports=[port], plaintext=["loopback"]),
        timeout=float(settings.MAIL_TIMEOUT_SECONDS),
        ehlo_name=ehlo_name(account),
    )
    with SmtpAccess(endpoint, None).open(transcript=transcript) as session:
        yield session


def imap_access(account: MailAccount) -> ImapAccess:
    """Read and decrypt what :func:`open_imap` needs, an access token refreshed. Raises :class:`MailError`."""
    imap = _imap_settings(account)
    return ImapAccess(imap_endpoint(imap), _imap_login(imap, imap.host))


def smtp_access(account: MailAccount) -> SmtpAccess:
    """The same for :func:`open_smtp` and a server. Raises :class:`MailError`."""
    smtp = _smtp_settings(account)
    return SmtpAccess(smtp_endpoint(smtp, ehlo_name(account)), _smtp_login(account, smtp))


def imap_endpoint(imap: ImapSettings) -> ImapEndpoint:
    """Where the settings, saved or not, lead to."""
    return ImapEndpoint(
        host=imap.host,
        port=imap.port,
        security=_SECURITY[imap.security],
        policy=network_policy(),
        ca_file=settings.MAIL_CA_FILE or None,
        timeout=float(settings.MAIL_TIMEOUT_SECONDS),
    )


def smtp_endpoint(smtp: SmtpSettings, ehlo: str) -> SmtpEndpoint:
    """Where the settings, saved or not, lead to; ``ehlo`` is the name we give."""
    return SmtpEndpoint(
        host=smtp.host,
        port=smtp.port,
        security=_SECURITY[smtp.security],
        policy=network_policy(),
        ca_file=settings.MAIL_CA_FILE or None,
        timeout=float(settings.MAIL_TIMEOUT_SECONDS),
        ehlo_name=ehlo,
    )


def ehlo_name(account: MailAccount) -> str:
    """The name for EHLO (RFC 5321 §4.1.1.1) and Message-IDs: the client alias, else the address's domain.

    Never the machine's own host name, which is nobody's business.
    """
    smtp = getattr(account, "smtp", None)
    alias = smtp.client_alias if smtp else ""
    try:
        return ascii_host(alias or account.email.rpartition("@")[2])
    except InvalidArgument:
        return "localhost"


def _imap_settings(account: MailAccount) -> ImapSettings:
    _require_active(account)
    try:
        return account.imap
    except ObjectDoesNotExist:
        raise AccountNotReady(account.email, code="imap_missing") from None


def _smtp_settings(account: MailAccount) -> SmtpSettings:
    _require_active(account)
    smtp: SmtpSettings | None = getattr(account, "smtp", None)
    if smtp is None or not smtp.is_enabled:
        raise AccountNotReady(account.email, code="smtp_off")
    return smtp


def _require_active(account: MailAccount) -> None:
    if account.is_retired:
        raise AccountNotReady(account.email, code="account_retired")


def _smtp_login(account: MailAccount, smtp: SmtpSettings) -> Login | None:
    if smtp.authentication == SmtpSettings.Authentication.NONE:
        return None
    if smtp.has_own_login:
        return PasswordLogin(smtp.username, _smtp_password(smtp))
    imap: ImapSettings | None = getattr(account, "imap", None)
    if imap is None:
        raise AccountNotReady(account.email, code="smtp_login_missing")
    return _imap_login(imap, smtp.host)


def _imap_login(imap: ImapSettings, host: str) -> Login:
    """The mailbox's login for ``host``, IMAP's own or that of SMTP, which takes it over."""
    if imap.authentication == ImapSettings.Authentication.OAUTH:
        return oauth_tokens.login_for(imap.account_id, host)
    return PasswordLogin(imap.username, _imap_password(imap))


def _imap_password(imap: ImapSettings) -> str:
    return _stored_password(imap.password_encrypted, credentials.IMAP_PASSWORD, imap)


def _smtp_password(smtp: SmtpSettings) -> str:
    return _stored_password(smtp.password_encrypted, credentials.SMTP_PASSWORD, smtp)


def _stored_password(stored: str, purpose: str, row: ImapSettings | SmtpSettings) -> str:
    if not stored:
        raise AccountNotReady(row.host, code="password_missing")
    return credentials.decrypt(stored, purpose=purpose, row_uuid=row.uuid)
