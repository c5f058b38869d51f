"""A real SMTP server, aiosmtpd, that keeps what it accepts and misbehaves by a script."""

import threading
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.certificates import Certificate
from tests.server_basics import READY_SECONDS, answers, free_port, wait_until


@dataclass(frozen=True)
class Transaction:
    """A mail that the sink accepted.

    ``content`` is what came between DATA and the dot, dot-stuffing removed.
    """

    envelope_sender: str
    recipients: tuple[str, ...]
    content: bytes
    mail_options: tuple[str, ...]
    is_tls: bool
    username: str | None


@dataclass
class SmtpScript:
    """How the sink answers; replies are whole lines such as ``"451 4.7.1 Greylisted"``.

    ``drop_at``: close without a word at ``"MAIL"``, ``"RCPT"``, ``"DATA"``, ``"DOT"`` (the mail is kept, no
    reply comes: R24) or never. ``times`` limits how often the script misbehaves; then the sink is friendly.
    """

    mail: str | None = None
    recipients: dict[str, str] = field(default_factory=dict)
    data: str | None = None
    dot: str | None = None
    drop_at: str | None = None
    keeps_dropped: bool = True
    hold_dot: threading.Event | None = None
    times: int = 1_000_000


class _SinkSmtp(SMTP):
    """aiosmtpd's protocol with the script's drops and its refusals of DATA."""

    sink: "SmtpSink"
    has_greeted = False

    async def smtp_EHLO(self, hostname: str) -> None:
        # A connection that says nothing, as a look whether the port answers does, is none that counts.
        self.sink.connections += not self.has_greeted
        self.has_greeted = True
        await super().smtp_EHLO(hostname)

    async def smtp_DATA(self, arg: str) -> None:
        script = self.sink.active_script("DATA")
        if script.drop_at == "DATA":
            self.transport.abort()
        elif script.data:
            await self.push(script.data)
            await self._set_rset_state_public()
        else:
            await super().smtp_DATA(arg)

    async def _set_rset_state_public(self) -> None:
        self._set_post_data_state()


class SmtpSink:
    """An aiosmtpd server that keeps what it accepts in ``transactions`` and answers by ``script``.

    ``security``: ``"none"``, ``"starttls"`` (offered, required before AUTH and MAIL) or ``"tls"``. With
    ``users`` a login is required.
    """

    def __init__(
        self,
        *,
        certificate: Certificate | None = None,
        security: str = "none",
        users: dict[str, str] | None = None,
        max_bytes: int = 50_000_000,
        smtputf8: bool = True,
    ) -> None:
        self._certificate, self._security, self._users = certificate, security, users
        self._max_bytes, self._smtputf8 = max_bytes, smtputf8
        self.host, self.port = "localhost", free_port()
        self.script = SmtpScript()
        self.transactions: list[Transaction] = []
        self.login_attempts: list[tuple[str, str]] = []
        self.connections = 0

    def __enter__(self) -> "SmtpSink":
        self._controller = _SinkController(self, "127.0.0.1", self.port)
        self._controller.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._controller.stop()

    def active_script(self, stage: str) -> SmtpScript:
        """Return the script as long as it still has turns, counting one where it misbehaves at ``stage``."""
        script = self.script
        misbehaves = script.drop_at == stage or {
            "MAIL": script.mail, "RCPT": script.recipients, "DATA": script.data, "DOT": script.dot
        }[stage]  # fmt: skip
        if not misbehaves:
            return SmtpScript(hold_dot=script.hold_dot)
        if script.times <= 0:
            return SmtpScript()
        if stage != "RCPT":
            script.times -= 1
        return script

    def make_protocol(self) -> SMTP:
        """Return the protocol for one connection."""
        context = (
            self._certificate.server_context() if self._certificate and self._security == "starttls" else None
        )
        protocol = _SinkSmtp(
            self,
            data_size_limit=self._max_bytes,
            enable_SMTPUTF8=self._smtputf8,
            hostname="sink.example",
            tls_context=context,
            require_starttls=context is not None,
            authenticator=self._authenticate if self._users else None,
            auth_required=bool(self._users),
            auth_require_tls=self._security == "starttls",
        )
        protocol.sink = self
        return protocol

    def listener_context(self) -> object:
        """Return the TLS context of an implicit TLS listener, else None."""
        return self._certificate.server_context() if self._certificate and self._security == "tls" else None

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: object
    ) -> AuthResult:
        assert isinstance(auth_data, LoginPassword)
        username, password = auth_data.login.decode(), auth_data.password.decode()
        self.login_attempts.append((username, password))
        if (self._users or {}).get(username) == password:
            return AuthResult(success=True, auth_data=username)
        return AuthResult(success=False, handled=False)

    def _is_tls(self, session: Session) -> bool:
        return session.ssl is not None or self._security == "tls"

    # aiosmtpd's hooks

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, mail_options: list[str]
    ) -> str:
        script = self.active_script("MAIL")
        if script.drop_at == "MAIL":
            server.transport.abort()
        if script.mail:
            return script.mail
        envelope.mail_from, envelope.mail_options = address, list(mail_options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        script = self.active_script("RCPT")
        if script.drop_at == "RCPT":
            server.transport.abort()
        if address in script.recipients:
            return script.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        script = self.active_script("DOT")
        if script.hold_dot:
            await server.loop.run_in_executor(None, script.hold_dot.wait, READY_SECONDS)
        if script.dot:
            return script.dot
        if script.drop_at != "DOT" or script.keeps_dropped:
            self.transactions.append(_transaction(session, envelope, is_tls=self._is_tls(session)))
        if script.drop_at == "DOT":
            server.transport.abort()
        return f"250 2.0.0 Ok: queued as {len(self.transactions)}"


def _transaction(session: Session, envelope: Envelope, *, is_tls: bool) -> Transaction:
    content = envelope.original_content
    return Transaction(
        envelope_sender="" if envelope.mail_from == "<>" else str(envelope.mail_from),
        recipients=tuple(envelope.rcpt_tos),
        content=content if isinstance(content, bytes) else b"",
        mail_options=tuple(envelope.mail_options),
        is_tls=is_tls,
        username=str(session.auth_data) if session.auth_data else None,
    )


class _SinkController(Controller):
    def __init__(self, sink: SmtpSink, hostname: str, port: int) -> None:
        self._sink = sink
        super().__init__(sink, hostname=hostname, port=port, ssl_context=sink.listener_context())

    def factory(self) -> SMTP:
        return self._sink.make_protocol()

    def _trigger_server(self) -> None:
        """Controller greets the server once to see it up; a listening socket is proof enough."""
        wait_until(lambda: answers(self.port), "aiosmtpd answers")
