"""Beginning, bounding and ending a dialogue with an IMAP server; ``ImapSession`` adds what is said."""

from __future__ import annotations

import imaplib
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from imapclient.exceptions import ProtocolError

from mailkit.bearer import BearerLogin, choose_mechanism
from mailkit.endpoint import Endpoint, Login, PasswordLogin, check_login, connect
from mailkit.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ConnectionLost,
    InvalidArgument,
    MailboxUnavailable,
    MailError,
    ProtocolViolation,
    TlsFailed,
)
from mailkit.imap_errors import login_code, login_error, mailbox_error
from mailkit.imap_transport import GuardedClient, ResponseLimits
from mailkit.network import ascii_host
from mailkit.redaction import redact
from mailkit.tls import certificate_facts

ORDINARY = ResponseLimits()
_OPENING = ResponseLimits(line=65_536, literal=0, total=262_144)
# With the 15 s that a STARTTLS handshake gets at most, opening ends within a minute whatever the server does
# (R12).
_OPENING_SECONDS = 45.0
_LEAVING = ResponseLimits(seconds=5.0)

# What imapclient's and imaplib's parsers raise at nonsense, besides their own errors.
_PARSER_ERRORS = (ValueError, TypeError, LookupError, AttributeError, RecursionError, AssertionError)


class ImapDialogue:
    """A logged-in connection whose every command is bounded, and out of which only our own errors come."""

    def __init__(self, client: GuardedClient) -> None:
        """Use ``open``."""
        self._client = client
        self._engine = client.engine

    @classmethod
    def open(cls, endpoint: Endpoint, login: Login) -> Self:
        """Connect, secure as ``endpoint.security`` demands, and log in, all within a minute.

        Raises ConnectionFailed and its kin, and AuthenticationFailed (codes: ``imap_errors.login_error``). No
        byte of the login is sent before a verified TLS connection stands, except of a password to a plaintext
        network.
        """
        check_login(endpoint, login)
        deadline = time.monotonic() + _OPENING_SECONDS
        sock = connect(endpoint)
        try:
            with _translated():
                client = GuardedClient(sock, ascii_host(endpoint.host), endpoint, _opening_limits(deadline))
            session = cls(client)
            session._secure(endpoint)
            session._log_in(endpoint, login, _opening_limits(deadline))
        except BaseException:
            sock.close()
            raise
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.logout()

    def _secure(self, endpoint: Endpoint) -> None:
        if self._engine.state != "NONAUTH":
            # PREAUTH forbids STARTTLS, and logs in as whom? A stripper's trick (CVE-2026-42246).
            raise ProtocolViolation("the server logged us in unasked", code="preauth_refused")
        if endpoint.security == "starttls":
            with _translated():
                self._engine.upgrade()
            if isinstance(self._engine.sock, ssl.SSLSocket):
                endpoint.on_stage("encrypted", certificate_facts(self._engine.sock))
        if endpoint.security != "none" and not isinstance(self._engine.sock, ssl.SSLSocket):
            raise TlsFailed("the connection is not encrypted")

    def _log_in(self, endpoint: Endpoint, login: Login, limits: ResponseLimits) -> None:
        capabilities = self.capabilities()
        try:
            with self._dialogue(limits):
                # The engine, not IMAPClient, which takes a BYE in the middle of a login for a wrong password.
                if isinstance(login, BearerLogin):
                    self._say_token(endpoint, login, capabilities)
                else:
                    self._say_password(login, capabilities)
        except MailboxUnavailable as refusal:
            # Some servers echo what they were sent.
            raise login_error(redact(refusal.detail, [login.secret])) from None

    def _say_token(self, endpoint: Endpoint, login: BearerLogin, capabilities: frozenset[str]) -> None:
        mechanism = choose_mechanism([name.removeprefix("AUTH=") for name in capabilities])
        response = mechanism.initial_response(login, ascii_host(endpoint.host), endpoint.port)
        self._authenticate(mechanism.name, response, mechanism.dismissal)

    def _say_password(self, login: PasswordLogin, capabilities: frozenset[str]) -> None:
        if "AUTH=PLAIN" in capabilities:
            self._authenticate("PLAIN", f"\0{login.username}\0{login.password}".encode())
        elif "LOGINDISABLED" in capabilities:
            raise AuthenticationFailed("the server offers no password login", code="login-disabled")
        else:
            self._engine.login(_quote_ascii(login.username), _ascii(login.password))

    def _authenticate(self, mechanism: str, response: bytes, dismissal: bytes | None = None) -> None:
        if "SASL-IR" in self.capabilities():
            self._engine.authenticate_at_once(mechanism, response, dismissal)
        else:
            answers = [response] if dismissal is None else [response, dismissal]
            self._engine.authenticate(mechanism, _say_in_turn(answers))

    def capabilities(self) -> frozenset[str]:
        """Return what the server offers, in upper case; after the login what it offers to this user."""
        with self._dialogue(ORDINARY):
            return frozenset(c.decode("ascii", "replace").upper() for c in self._client.capabilities())

    def noop(self) -> None:
        """Keep the connection alive."""
        with self._dialogue(ORDINARY):
            expect_ok(*self._engine.noop())

    def logout(self) -> None:
        """Say goodbye and close. Never raises: there is nothing left to lose."""
        try:
            with self._dialogue(_LEAVING):
                self._engine.logout()
        except MailError:
            pass  # the connection was gone, or the server impolite
        finally:
            self._abandon()

    def _abandon(self) -> None:
        self._engine.state = "LOGOUT"
        self._engine.stream.close()

    @contextmanager
    def _dialogue(self, limits: ResponseLimits | None) -> Iterator[None]:
        """Bound one command, or a few. A broken connection or protocol ends the session.

        None: what follows belongs to the command before, and to its bounds.
        """
        if self._engine.state == "LOGOUT":
            raise ConnectionLost("the session is over")
        if limits:
            self._engine.stream.begin(limits)
        try:
            with _translated():
                yield
        except ConnectionFailed:
            self._abandon()
            raise


def _opening_limits(deadline: float) -> ResponseLimits:
    return replace(_OPENING, seconds=max(deadline - time.monotonic(), 0.1))


@contextmanager
def _translated() -> Iterator[None]:
    """Let only our own errors out, without ``from``: the original may quote a server quoting a password."""
    try:
        yield
    except MailError:
        raise
    except imaplib.IMAP4.readonly as error:
        raise MailboxUnavailable(str(error), code="read-only") from None
    except imaplib.IMAP4.abort as error:
        raise _broken(str(error)) from None
    except ProtocolError as error:
        raise ProtocolViolation(str(error)) from None
    except imaplib.IMAP4.error as error:
        raise _refused(words_of(error.args)) from None
    except _PARSER_ERRORS as error:
        raise ProtocolViolation(f"unreadable answer ({type(error).__name__})") from None


def _broken(words: str) -> ConnectionFailed:
    """Translate imaplib's abort: either it could not read an answer, or the server said BYE."""
    return ProtocolViolation(words) if "unexpected" in words else ConnectionLost(words)


def _refused(words: str) -> MailError:
    """Translate imaplib's plain error: a greeting that is a BYE, a BAD, or a NO."""
    if words.startswith("* BYE"):
        return ConnectionFailed(words, code=login_code(words) or "server_unavailable")
    if any(sign in words for sign in ("command error: BAD", "illegal in state", "not IMAP4 compliant")):
        return ProtocolViolation(words)
    return mailbox_error(words)


def words_of(data: Sequence[Any]) -> str:
    """Return the last of imaplib's data, where a server's words stand, as text."""
    last = data[-1] if data else ""
    return last.decode("utf-8", "replace") if isinstance(last, bytes) else str(last or "")


def expect_ok(typ: str, data: Sequence[Any]) -> Sequence[Any]:
    """Return ``data``, or raise MailboxUnavailable where the server said NO."""
    if typ != "OK":
        raise mailbox_error(words_of(data))
    return data


def _say_in_turn(answers: Sequence[bytes]) -> Callable[[bytes], bytes | None]:
    """Return a SASL responder that says each answer once; a challenge beyond ends the exchange (trap 2)."""
    left = list(answers)
    return lambda _challenge: left.pop(0) if left else None


def _ascii(text: str) -> str:
    if not text.isascii():
        raise InvalidArgument("this server's login takes ASCII only")
    return text


def _quote_ascii(text: str) -> str:
    return '"' + _ascii(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
