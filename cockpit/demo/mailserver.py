"""The demo's mail server: SMTP by aiosmtpd, IMAP by pymap, both on loopback with STARTTLS."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from cockpit.demo.mailboxes import DemoMailboxes

START_SECONDS = 20.0


class Delivery:
    """aiosmtpd handler: known recipients get the mail, unknown ones a 550 (RFC 5321 §4.2.3)."""

    def __init__(self, mailboxes: DemoMailboxes) -> None:
        self.mailboxes = mailboxes

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept mailboxes of the demo only."""
        if not self.mailboxes.exists(address):
            return f"550 5.1.1 <{address}>: no such mailbox in the demo"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Deliver to every accepted recipient."""
        # aiosmtpd hands the null reverse-path over with its brackets.
        sender = f"Return-Path: <{(envelope.mail_from or '').strip('<>')}>\r\n".encode()
        for address in envelope.rcpt_tos:
            self.mailboxes.deliver(
                address,
                sender + (envelope.original_content or b""),
                received_from=session.host_name or "unknown",
            )
        return "250 2.0.0 delivered"


class DemoMailServer:
    """Context manager: both servers run inside, on 127.0.0.1, and end with it.

    ``folder`` holds the certificates (:func:`cockpit.demo.certificates.ensure_certificates`).
    """

    def __init__(self, folder: Path, *, imap_port: int, smtp_port: int, passwords: dict[str, str]) -> None:
        self.folder = folder
        self.imap_port = imap_port
        self.smtp_port = smtp_port
        self.passwords = {address.lower(): word for address, word in passwords.items()}
        self.mailboxes = DemoMailboxes(folder / "mail")

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.mailboxes.create(self.passwords)
        self._smtp = self._smtp_controller()
        self._smtp.start()
        self._imap = subprocess.Popen(  # noqa: S603  # our own module with our own arguments
            [
                sys.executable,
                "-m",
                "cockpit.demo.imap_process",
                str(self.imap_port),
                str(self.mailboxes.root),
                str(self.folder),
            ],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the demo, which then closes this life line
        )
        self._wait_for_imap()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._smtp.stop()
        self._imap.communicate()  # closing standard input ends it

    def _smtp_controller(self) -> Controller:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        return Controller(
            Delivery(self.mailboxes),
            hostname="127.0.0.1",
            port=self.smtp_port,
            ready_timeout=START_SECONDS,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
            ident="Demo mail server",
        )

    def _authenticate(
        self, _server: Any, _session: Session, _envelope: Envelope, _mechanism: str, login: Any
    ) -> AuthResult:
        known = (
            isinstance(login, LoginPassword)
            and self.passwords.get(login.login.decode().lower()) == login.password.decode()
        )
        return AuthResult(success=known, handled=False)

    def _wait_for_imap(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._imap.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.imap_port), 1.0).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"The demo's IMAP server did not start on port {self.imap_port}.")
