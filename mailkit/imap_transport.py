"""The wire under an IMAP session: a vetted socket, bounded in bytes and seconds, below the stdlib's IMAP4.

imaplib allocates whatever a literal announces (gh-119511), waits as long as a server drips, and takes a
command's arguments as they come. All three are mended here, below it, by overriding what it offers to
override: ``open``, ``read``, ``readline``, ``send``, ``starttls``, ``shutdown``.
"""

from __future__ import annotations

import contextlib
import imaplib
import io
import re
import socket
import ssl
import time
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from imapclient import IMAPClient

from mailkit.endpoint import Endpoint
from mailkit.errors import ConnectionLost, ConnectionTimeout, InvalidArgument, ProtocolViolation, TlsFailed
from mailkit.tls import start_tls

_LITERAL_MARK = re.compile(rb"\{([^{}\s]*)\}\r\n\Z")
_LITERAL_SIZE = re.compile(rb"[0-9]{1,10}\Z")
_COMMAND_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n\Z")
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_BUFFER_BYTES = 65_536
_SEND_BYTES = 65_536


@dataclass(frozen=True)
class ResponseLimits:
    """What the server's answer to one command may cost us.

    ``seconds`` bounds the whole answer, however busily it drips. ``bytes_per_second`` grants more time to an
    answer that arrives at least that fast: a large mail over a slow line is no attack. ``line``, ``literal``
    and ``total`` are bytes; ``total`` counts everything since the command.
    """

    seconds: float = 50.0
    line: int = 1_048_576
    literal: int = 65_536
    total: int = 4_194_304
    bytes_per_second: float | None = None


class SocketReader(io.RawIOBase):
    """The read side of a socket under a deadline and a byte budget, renewed for every command."""

    def __init__(self, sock: socket.socket, silence_seconds: float) -> None:
        super().__init__()
        self._sock = sock
        self.silence_seconds = silence_seconds
        self.limits = ResponseLimits()
        self.probing = False
        self.begin(self.limits)

    def begin(self, limits: ResponseLimits) -> None:
        self.limits = limits
        self._started_at = time.monotonic()
        self.received = 0

    def readable(self) -> bool:
        return True

    def _seconds_left(self) -> float:
        granted = self.limits.seconds
        if self.limits.bytes_per_second:
            granted += self.received / self.limits.bytes_per_second
        return granted - (time.monotonic() - self._started_at)

    def readinto(self, buffer: Any) -> int | None:
        left = self._seconds_left()
        if left <= 0:
            raise ConnectionTimeout("the answer took too long")
        self._sock.settimeout(0 if self.probing else min(left, self.silence_seconds))
        try:
            count = self._sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except TimeoutError:
            raise ConnectionTimeout("no answer") from None
        except OSError as error:
            raise ConnectionLost(error.strerror or str(error)) from None
        self._count(count)
        return count

    def _count(self, count: int) -> None:
        self.received += count
        if self.received > self.limits.total:
            raise ProtocolViolation("the answer is longer than anything asked for", code="answer_too_long")


class BoundedStream:
    """A connected socket read by lines and literals, each capped.

    Raises only ``ConnectionFailed`` and its kin.
    """

    def __init__(self, sock: socket.socket, silence_seconds: float) -> None:
        self.sock = sock
        self._silence_seconds = silence_seconds
        self._raw = SocketReader(sock, silence_seconds)
        self._buffered = io.BufferedReader(self._raw, _BUFFER_BYTES)
        self._literal_due: int | None = None

    @property
    def is_encrypted(self) -> bool:
        """Tell whether what is sent now travels inside TLS."""
        return isinstance(self.sock, ssl.SSLSocket)

    def begin(self, limits: ResponseLimits) -> None:
        """Start the clock and the byte budget for one command."""
        self._raw.begin(limits)

    def over(self, sock: socket.socket) -> BoundedStream:
        """Return a stream over ``sock`` under the same limits, with nothing of what this one has buffered."""
        stream = BoundedStream(sock, self._silence_seconds)
        stream.begin(self._raw.limits)
        return stream

    def readline(self) -> bytes:
        """Return one line with its CRLF."""
        line = self._buffered.readline(self._raw.limits.line + 1)
        if len(line) > self._raw.limits.line:
            raise ProtocolViolation("endless line", code="answer_too_long")
        if not line.endswith(b"\r\n"):
            # A bare LF is either a torn line or a server that speaks another protocol.
            raise (
                ProtocolViolation("bare line feed")
                if line.endswith(b"\n")
                else ConnectionLost("end of stream")
            )
        self._check_announcement(line)
        return line

    def _check_announcement(self, line: bytes) -> None:
        mark = _LITERAL_MARK.search(line)
        if mark is None:
            return
        size = mark.group(1)
        if _LITERAL_SIZE.match(size):
            self._check_literal(int(size))
        elif re.match(rb"[+-]?[0-9]+[+-]?\Z", size):
            raise ProtocolViolation("a literal of no possible size", code="literal_invalid")

    def _check_literal(self, size: int) -> None:
        if size > self._raw.limits.literal:
            raise ProtocolViolation("a literal larger than asked for", code="literal_too_large")

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes of a literal; a literal that ends early is a lost connection."""
        self._check_literal(size)
        content = self._buffered.read(size)
        if content is None or len(content) < size:
            raise ConnectionLost("end of stream inside a literal")
        return content

    def has_unasked_bytes(self) -> bool:
        """Tell whether the server has sent something that no command asked for."""
        self._raw.probing = True
        try:
            return bool(self._buffered.peek(1))
        finally:
            self._raw.probing = False

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds`` until the server says something, and tell whether it did.

        Nothing is taken out of the stream. Raises ConnectionLost at its end.
        """
        self._raw.silence_seconds = max(seconds, 0.001)  # 0 would not wait but probe
        try:
            if self._buffered.peek(1):
                return True
        except ConnectionTimeout:
            return False
        finally:
            self._raw.silence_seconds = self._silence_seconds
        raise ConnectionLost("end of stream")

    def interrupt(self) -> None:
        """End the connection under whatever another thread waits for."""
        with contextlib.suppress(OSError):
            # Not SSLSocket's own, which takes the TLS away from under the thread that reads.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def send(self, data: bytes) -> None:
        """Send a command line or the literal that the line before announced.

        Nothing else may hold controls.
        """
        self._check_sent(data)
        self.sock.settimeout(self._silence_seconds)
        view = memoryview(data)
        try:
            for start in range(0, len(data), _SEND_BYTES):
                self.sock.sendall(view[start : start + _SEND_BYTES])
        except TimeoutError:
            raise ConnectionTimeout("the server takes nothing more") from None
        except OSError as error:
            raise ConnectionLost(error.strerror or str(error)) from None

    def _check_sent(self, data: bytes) -> None:
        due, self._literal_due = self._literal_due, None
        if due is not None and len(data) == due:
            return
        if _CONTROLS.search(data.removesuffix(b"\r\n")):
            raise InvalidArgument("a command holds control characters")
        announced = _COMMAND_LITERAL.search(data)
        self._literal_due = int(announced.group(1)) if announced else None

    def close(self) -> None:
        """Close the connection without a word."""
        try:
            self._buffered.close()
            self.sock.close()
        except OSError:
            pass  # it is gone either way


class GuardedImap4(imaplib.IMAP4):
    """imaplib's protocol engine over a ``BoundedStream``."""

    def __init__(self, stream: BoundedStream, secure: Callable[[socket.socket], ssl.SSLSocket]) -> None:
        self._stream = stream
        self._secure = secure
        self._answers: list[bytes] = []
        super().__init__()

    @property
    def stream(self) -> BoundedStream:
        """The stream in use; STARTTLS replaces it."""
        return self._stream

    @property  # type: ignore[override]  # bytes, whatever typeshed says
    def tagpre(self) -> bytes:
        """How tags begin: at random, as imaplib has it, its pattern for them would be compiled each time."""
        return b"T"

    @tagpre.setter
    def tagpre(self, _random: bytes) -> None:
        pass

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:  # noqa: ARG002
        self.host, self.port = host, port
        self.sock = self._stream.sock

    def read(self, size: int) -> bytes:
        return self._stream.read(size)

    def readline(self) -> bytes:
        return self._stream.readline()

    def send(self, data: Any) -> None:
        self._stream.send(bytes(data))

    def shutdown(self) -> None:
        self._stream.close()

    def _log(self, line: Any) -> None:
        """Keep no last ten lines as imaplib does: LOGIN is among them."""

    def _get_capabilities(self) -> None:
        """Believe a greeting that tells them (RFC 3501 §7.1), which saves a round trip; else ask."""
        told = self.untagged_responses.pop("CAPABILITY", None)
        if told:
            self.capabilities = tuple(cast("bytes", told[-1]).decode("ascii", "replace").upper().split())
        else:
            super()._get_capabilities()  # type: ignore[misc]  # typeshed does not know it

    def authenticate_at_once(self, mechanism: str, response: bytes, dismissal: bytes | None = None) -> None:
        """Log in with the initial response in the command itself (SASL-IR, RFC 4959), a round trip less.

        A challenge gets ``dismissal`` where the mechanism has one; any other is cancelled. Raises
        ``self.error``.
        """
        self._answers = [] if dismissal is None else [b2a_base64(dismissal, newline=False)]
        self.literal = self._answer  # type: ignore[assignment]  # imaplib's own trick: a method answers challenges
        typ, data = self._simple_command(
            "AUTHENTICATE", mechanism, b2a_base64(response, newline=False).decode()
        )
        if typ != "OK":
            raise self.error(str(data[-1], "utf-8", "replace"))
        self.state = "AUTH"

    def _answer(self, _challenge: bytes) -> bytes:
        return self._answers.pop() if self._answers else b"*"

    def upgrade(self) -> None:
        """Say STARTTLS; trust nothing that came before TLS stands (RFC 3501 §6.2.1, CVE-2021-33515, B86)."""
        if "STARTTLS" not in self.capabilities:
            raise TlsFailed("the server does not offer STARTTLS", code="starttls_missing")
        self._refuse_unasked_bytes()
        typ, data = self._simple_command("STARTTLS")
        if typ != "OK":
            raise TlsFailed(data[-1] or b"", code="starttls_refused")
        self._refuse_unasked_bytes()
        self.sock = self._secure(self._stream.sock)
        self._stream = self._stream.over(self.sock)
        self.untagged_responses.clear()
        self._get_capabilities()

    def _refuse_unasked_bytes(self) -> None:
        if self._stream.has_unasked_bytes():
            raise ProtocolViolation("bytes in the clear beside STARTTLS", code="starttls_injection")


class GuardedClient(IMAPClient):  # type: ignore[misc]  # imapclient ships no types
    """IMAPClient over a socket of ours."""

    def __init__(self, sock: socket.socket, host: str, endpoint: Endpoint, limits: ResponseLimits) -> None:
        stream = BoundedStream(sock, endpoint.timeout)
        stream.begin(limits)
        self._secure = lambda plain: start_tls(plain, host, endpoint.ca_file, endpoint.timeout)
        self._stream = stream
        super().__init__(host, endpoint.port, ssl=stream.is_encrypted, timeout=endpoint.timeout)
        # IMAPClient sets imaplib's debug level to 5, which renders every literal twice through repr() for log
        # lines that nobody reads: fetching is six times faster without (design/performance.md).
        self._imap.debug = 0
        self.folder_encode = (
            False  # names are coded in imap_folders, one by one, so that a hostile one harms no other
        )
        self.normalise_times = False  # INTERNALDATE stays aware

    def _create_IMAP4(self) -> GuardedImap4:  # noqa: N802 - IMAPClient's name
        self.engine = GuardedImap4(self._stream, self._secure)
        return self.engine
