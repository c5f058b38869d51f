"""aiosmtplib's client with a recorder, and the body written without the final dot."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, cast

import aiosmtplib
from aiosmtplib.response import SMTPResponse

from mailkit.errors import clean_detail
from mailkit.redaction import REPLACEMENT, redact

_LONGEST_LINE = 500
_MOST_LINES = 1_000


class RecordingSmtp(aiosmtplib.SMTP):
    """An aiosmtplib client that writes the dialogue into ``transcript``, when there is one.

    Credentials are replaced and message data never passes through here (T9).
    """

    def __init__(self, transcript: list[str] | None, secrets: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        self._transcript = transcript
        self._secrets = tuple(secrets)
        self._in_login = False

    def redacted(self, text: str) -> str:
        """Return ``text`` without the login's secrets: some servers echo what they were sent."""
        return redact(text, self._secrets)

    async def execute_command(
        self, *args: bytes, timeout: Any = aiosmtplib.typing.Default.token
    ) -> SMTPResponse:
        self.record_command(*args)
        response = await super().execute_command(*args, timeout=timeout)
        # The line after a 334 to AUTH is a credential, whatever it looks like.
        self._in_login = response.code == 334
        self.record("S", response.code, response.message)
        return response

    async def authenticate(self, mechanism: str, response: bytes, dismissal: bytes) -> None:
        """Say AUTH with its initial response (RFC 4954); the one challenge that may follow gets
        ``dismissal``.

        Raises SMTPAuthenticationError.
        """
        reply = await self.execute_command(b"AUTH", mechanism.encode("ascii"), b64encode(response))
        if reply.code == 334:
            reply = await self.execute_command(b64encode(dismissal))
        if reply.code != 235:
            raise aiosmtplib.SMTPAuthenticationError(reply.code, reply.message)

    def record_command(self, *args: bytes) -> None:
        """Note a command of ours."""
        if self._in_login:
            self._note(f"C: {REPLACEMENT}")
        elif args[0].upper() == b"AUTH":
            self._note(f"C: {b' '.join(args[:2]).decode('ascii', 'replace')} {REPLACEMENT}")
        else:
            self._note("C: " + b" ".join(args).decode("utf-8", "replace"))

    def record(self, side: str, code: int, text: str) -> None:
        """Note a reply, line by line."""
        for line in text.split("\n"):
            self._note(f"{side}: {code} {line}")

    def record_note(self, text: str) -> None:
        """Note something that is not on the wire as such."""
        self._note(f"C: {text}")

    def _note(self, line: str) -> None:
        if self._transcript is not None and len(self._transcript) < _MOST_LINES:
            self._transcript.append(clean_detail(self.redacted(line), _LONGEST_LINE))

    async def write(self, data: bytes) -> None:
        """Write a piece of the body and wait until the kernel has it, ``timeout`` seconds at most."""
        if self.protocol is None or self.protocol.transport is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        cast("asyncio.WriteTransport", self.protocol.transport).set_write_buffer_limits(high=0)
        self.protocol.write(data)
        await asyncio.wait_for(self.protocol._drain_helper(), self.timeout)  # noqa: SLF001 - asyncio's name

    def abort(self) -> None:
        """Drop the connection and whatever is not sent yet."""
        if self.transport is not None:
            cast("asyncio.WriteTransport", self.transport).abort()
        self.close()
