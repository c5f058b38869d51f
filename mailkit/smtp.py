"""One dialogue with an SMTP server (RFC 5321), for many mails.

The delicate moment is the final dot. Until it is sent, a broken connection means "not delivered"; after it,
only a reply tells (RFC 1047). So ``send`` stops right before it and lets the caller write down that it is
about to happen.

aiosmtplib speaks on a private event loop that runs only inside our calls: the caller's code, database access
included, never runs inside a coroutine.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiosmtplib

from mailkit.arguments import reject_line_breakers
from mailkit.bearer import BearerLogin, choose_mechanism
from mailkit.delivery import (
    DeliveryResult,
    MailTransport,
    Reply,
    all_refused,
    check_raw,
    check_recipients,
    envelope_address,
    refusal,
)
from mailkit.endpoint import Endpoint, Login, PasswordLogin, check_login, connect_plain
from mailkit.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    MailError,
    PermanentDeliveryError,
    ProtocolViolation,
    TlsFailed,
    TransientDeliveryError,
    UncertainDelivery,
)
from mailkit.imap_errors import login_code
from mailkit.local_mail import LocalMailProgram
from mailkit.network import ascii_host
from mailkit.smtp_wire import RecordingSmtp
from mailkit.tls import certificate_facts, client_context, tls_error

__all__ = [
    "DeliveryResult",
    "LocalMailProgram",
    "MailTransport",
    "PasswordLogin",
    "Reply",
    "SmtpEndpoint",
    "SmtpSession",
]

_T = TypeVar("_T")
_BODY_CHUNK_BYTES = 65_536
_GOODBYE_SECONDS = 5.0
_LIBRARY_ERRORS = (aiosmtplib.SMTPException, OSError, ValueError)


@dataclass(frozen=True)
class SmtpEndpoint(Endpoint):
    """An SMTP server. ``ehlo_name`` is the name we call ourselves; ``dot_timeout`` is in seconds.

    RFC 5321 §4.5.3.2.6 asks for patience after the final dot: giving up early leaves a mail uncertain.
    """

    ehlo_name: str = "localhost"
    dot_timeout: float = 300.0


class SmtpSession:
    """A connected, secured and logged-in SMTP session, to be used in a ``with`` statement."""

    def __init__(
        self, endpoint: SmtpEndpoint, client: RecordingSmtp, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Use ``SmtpSession.open``."""
        self._endpoint = endpoint
        self._client = client
        self._loop = loop
        self._needs_reset = False

    @classmethod
    def open(
        cls,
        endpoint: SmtpEndpoint,
        login: Login | None = None,
        *,
        transcript: list[str] | None = None,
    ) -> Self:
        """Connect, secure as ``endpoint.security`` demands, and log in when ``login`` is given.

        ``transcript`` collects the dialogue, credentials redacted and message data left out (product §3,
        SMTP-Debug). Raises ConnectionFailed and its kin, and AuthenticationFailed. No byte of the login is
        sent before a verified TLS connection stands, except of a password to a plaintext network.
        """
        check_login(endpoint, login)
        reject_line_breakers(endpoint.ehlo_name, "The EHLO name")
        sock = connect_plain(endpoint)
        loop = asyncio.new_event_loop()
        secrets = [login.secret] if login else []
        client = RecordingSmtp(transcript, secrets, **_client_options(endpoint, sock))
        session = cls(endpoint, client, loop)
        try:
            session._run(session._secure())
            session._tell_encrypted()
            if login:
                session._run(session._log_in(login))
        except BaseException:
            sock.close()
            session._abandon()
            raise
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Tell whether another mail can be sent, as far as we know."""
        return not self._loop.is_closed() and self._client.is_connected

    def close(self) -> None:
        """Say QUIT and close. Never raises."""
        if self.is_open:
            with suppress(*_LIBRARY_ERRORS):  # all mails have had their reply; politeness may fail
                self._loop.run_until_complete(self._client.quit(timeout=_GOODBYE_SECONDS))
        self._abandon()

    async def _secure(self) -> None:
        greeting = await self._client.connect()
        self._client.record("S", greeting.code, greeting.message)
        await self._greet()
        if self._endpoint.security == "starttls":
            await self._upgrade()
        is_encrypted = self._client.get_transport_info("sslcontext") is not None
        if self._endpoint.security != "none" and not is_encrypted:
            raise TlsFailed("the connection is not encrypted")

    def _tell_encrypted(self) -> None:
        """Tell the observer; outside the event loop, because it may want its database."""
        connection = self._client.get_transport_info("ssl_object")
        if connection is not None:
            self._endpoint.on_stage("encrypted", certificate_facts(connection))

    async def _greet(self) -> None:
        try:
            await self._client.ehlo()
        except aiosmtplib.SMTPHeloError:
            await self._client.helo()

    async def _upgrade(self) -> None:
        if not self._client.supports_extension("starttls"):
            raise TlsFailed("the server does not offer STARTTLS", code="starttls_missing")
        self._client.record_command(b"STARTTLS")
        try:
            reply = await self._client.starttls(server_hostname=ascii_host(self._endpoint.host))
        except aiosmtplib.SMTPResponseException as error:
            raise TlsFailed(error.message, code="starttls_refused") from None
        self._client.record("S", reply.code, reply.message)
        await self._greet()

    async def _log_in(self, login: Login) -> None:
        """Log in by one mechanism, once: trying all of them counts as several wrong passwords (R32)."""
        try:
            if isinstance(login, BearerLogin):
                await self._say_token(login)
            else:
                await self._say_password(login)
        except aiosmtplib.SMTPAuthenticationError as error:
            raise self._login_refused(Reply(error.code, error.message)) from None

    async def _say_token(self, login: BearerLogin) -> None:
        mechanism = choose_mechanism([name.upper() for name in self._client.server_auth_methods])
        host = ascii_host(self._endpoint.host)
        response = mechanism.initial_response(login, host, self._endpoint.port)
        await self._client.authenticate(mechanism.name, response, mechanism.dismissal)

    async def _say_password(self, login: PasswordLogin) -> None:
        offered = self._client.server_auth_methods
        attempts = {
            "plain": self._client.auth_plain,
            "login": self._client.auth_login,
            "cram-md5": self._client.auth_crammd5,
        }  # fmt: skip
        attempt = next((attempts[name] for name in attempts if name in offered), None)
        if attempt is None:
            raise AuthenticationFailed("the server offers no password login", code="login-disabled")
        await attempt(login.username, login.password)

    def _login_refused(self, reply: Reply) -> AuthenticationFailed:
        words = self._client.redacted(f"{reply.code} {reply.text}")
        return AuthenticationFailed(
            words, code=login_code(words) or ("unavailable" if reply.is_transient else None)
        )

    def send(
        self, envelope_sender: str, recipients: Sequence[str], raw: bytes, *, before_dot: Callable[[], None]
    ) -> DeliveryResult:
        """Deliver ``raw`` (canonical CRLF) to ``recipients``.

        ``envelope_sender`` may be ``""``, the null sender.

        ``before_dot`` is called when the server has the whole body and lacks only the final dot. If it
        raises, the connection is cut without the dot, nothing is delivered, and its exception passes on.

        Raises InvalidArgument and InvalidAddress before anything is sent; TransientDeliveryError (4xx, or the
        connection broke before the dot) and PermanentDeliveryError (5xx), with each recipient's reply in
        ``refused`` where all were refused; UncertainDelivery when the connection broke after the dot (R24).
        Where only some recipients are refused, the others get the mail (R27).
        """
        check_raw(raw)
        sender = envelope_address(envelope_sender) if envelope_sender else ""
        wanted = check_recipients(recipients)
        if not self.is_open:
            raise TransientDeliveryError("the session is over", code="connection_lost")
        accepted, refused = self._run_before_dot(self._transmit(sender, wanted, raw))
        try:
            before_dot()
        except BaseException:
            self._abandon()
            raise
        reply = self._finish()
        return DeliveryResult(reply.code, reply.text, accepted, refused)

    async def _transmit(
        self, sender: str, wanted: list[str], raw: bytes
    ) -> tuple[list[str], dict[str, Reply]]:
        self._refuse_oversize(raw)
        if self._needs_reset:
            await self._command(b"RSET")
        self._needs_reset = True
        await self._expect(
            b"MAIL", b"FROM:<" + sender.encode("utf-8") + b">", *self._mail_options(sender, wanted, raw)
        )
        refused = {}
        for recipient in wanted:
            reply = await self._rcpt(recipient)
            if reply.code not in {250, 251}:
                refused[recipient] = reply
        if len(refused) == len(wanted):
            raise all_refused(refused)
        await self._expect(b"DATA", code=354)
        await self._write_body(raw)
        return [recipient for recipient in wanted if recipient not in refused], refused

    def _refuse_oversize(self, raw: bytes) -> None:
        announced = self._client.esmtp_extensions.get("size", "")
        if announced.isdigit() and 0 < int(announced) < len(raw):
            raise PermanentDeliveryError(
                f"{len(raw)} bytes, the server takes {announced}", reply_code=552, code="message-too-big"
            )

    def _mail_options(self, sender: str, wanted: list[str], raw: bytes) -> list[bytes]:
        options = []
        if self._client.supports_extension("size"):
            options.append(b"SIZE=%d" % len(raw))
        if not raw.isascii():
            self._require("8bitmime")
            options.append(b"BODY=8BITMIME")
        if not sender.isascii():
            self._require("smtputf8")
        if (
            self._client.supports_extension("smtputf8")
            and not "".join([sender, *map(envelope_address, wanted)]).isascii()
        ):
            options.append(b"SMTPUTF8")
        return options

    def _require(self, extension: str) -> None:
        if not self._client.supports_extension(extension):
            raise PermanentDeliveryError(
                f"the server lacks {extension.upper()}", code=f"{extension}-unsupported"
            )

    async def _rcpt(self, recipient: str) -> Reply:
        address = envelope_address(recipient)
        if not address.isascii() and not self._client.supports_extension("smtputf8"):
            return Reply(553, "5.6.7 the server takes no internationalized addresses (SMTPUTF8)")
        reply = await self._command(b"RCPT", b"TO:<" + address.encode("utf-8") + b">")
        if reply.code == 421:
            raise refusal(reply)
        return reply

    async def _write_body(self, raw: bytes) -> None:
        stuffed = raw.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        self._client.record_note(f"({len(raw)} bytes of message data)")
        for start in range(0, len(stuffed), _BODY_CHUNK_BYTES):
            await self._client.write(stuffed[start : start + _BODY_CHUNK_BYTES])

    def _finish(self) -> Reply:
        """Send the dot. From here on only a definite reply tells what became of the mail."""
        try:
            response = self._loop.run_until_complete(
                self._client.execute_command(b".", timeout=self._endpoint.dot_timeout)
            )
        except _LIBRARY_ERRORS as error:
            self._abandon()
            raise UncertainDelivery(self._client.redacted(str(error))) from None
        except BaseException:
            self._abandon()
            raise
        reply = Reply(response.code, response.message)
        if 200 <= reply.code < 300:
            self._needs_reset = False
            return reply
        if 400 <= reply.code < 600:
            raise refusal(reply)
        self._abandon()
        raise UncertainDelivery(reply.text, reply_code=max(reply.code, 0))

    async def _expect(self, *words: bytes, code: int = 250) -> None:
        reply = await self._command(*words)
        if reply.code != code:
            raise refusal(reply)

    async def _command(self, *words: bytes) -> Reply:
        response = await self._client.execute_command(*words)
        return Reply(response.code, response.message)

    def _run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        try:
            return self._loop.run_until_complete(coroutine)
        except MailError:
            raise
        except _LIBRARY_ERRORS as error:
            raise _connection_error(error) from None

    def _run_before_dot(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        try:
            return self._run(coroutine)
        except ConnectionFailed as error:
            self._abandon()
            raise TransientDeliveryError(error.detail, code=error.code) from None
        except MailError:
            raise
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Cut the connection: what is not on the wire yet, such as a dot, never gets there."""
        if self._loop.is_closed():
            return
        self._client.abort()
        self._loop.run_until_complete(asyncio.sleep(0))  # lets the transport close its socket
        self._loop.close()


def _client_options(endpoint: SmtpEndpoint, sock: Any) -> dict[str, Any]:
    return {
        "hostname": ascii_host(endpoint.host),
        "sock": sock,
        "use_tls": endpoint.security == "tls",
        "start_tls": False,  # done by us, never opportunistically (trap 6)
        "tls_context": None if endpoint.security == "none" else client_context(endpoint.ca_file),
        "local_hostname": endpoint.ehlo_name,
        "timeout": endpoint.timeout,
    }


def _connection_error(error: Exception) -> ConnectionFailed:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, ssl.SSLError):
        return tls_error(cause)
    if isinstance(error, TimeoutError):
        return ConnectionTimeout("no answer")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _unexpected_reply(error)
    return ConnectionLost(str(error))


def _unexpected_reply(error: aiosmtplib.SMTPResponseException) -> ConnectionFailed:
    if error.code < 200:
        return ProtocolViolation(error.message)
    return ConnectionFailed(f"{error.code} {error.message}", code="server_unavailable")
