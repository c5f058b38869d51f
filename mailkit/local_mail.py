"""Sending through the mail program of this machine: Postfix, Exim or another that offers ``sendmail``."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from mailkit.delivery import DeliveryResult, check_raw, check_recipients, envelope_address
from mailkit.errors import PermanentDeliveryError, TransientDeliveryError, UncertainDelivery

# sysexits.h: usage, data, no such user, no such host, no permission. Anything else may pass.
_PERMANENT_EXITS = frozenset({os.EX_USAGE, os.EX_DATAERR, os.EX_NOUSER, os.EX_NOHOST, os.EX_NOPERM})
_LONGEST_COMPLAINT_BYTES = 2_000


@dataclass(frozen=True)
class LocalMailProgram:
    """A ``MailTransport`` over ``sendmail -i -f sender -- recipients``. ``timeout`` is in seconds."""

    sendmail_path: str = "/usr/sbin/sendmail"
    timeout: float = 60.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: every mail is a process of its own."""

    def send(
        self, envelope_sender: str, recipients: Sequence[str], raw: bytes, *, before_dot: Callable[[], None]
    ) -> DeliveryResult:
        """Hand ``raw`` to the program; the end of its input is the dot.

        Raises as ``SmtpSession.send`` does.
        """
        wanted = check_recipients(recipients)
        sender = envelope_address(envelope_sender) if envelope_sender else "<>"
        content = check_raw(raw).replace(b"\r\n", b"\n")  # the program wants the machine's own line ends
        arguments = [self.sendmail_path, "-i", "-f", sender, "--", *map(envelope_address, wanted)]
        with tempfile.TemporaryFile() as complaints:
            self._feed(arguments, content, complaints, before_dot)
        return DeliveryResult(250, "accepted by the local mail program", wanted)

    def _feed(
        self, arguments: list[str], content: bytes, complaints: IO[bytes], before_dot: Callable[[], None]
    ) -> None:
        process = _start(arguments, complaints)
        # A program that reads nothing would hold the write for ever.
        watchdog = threading.Timer(self.timeout, process.kill)
        watchdog.start()
        try:
            _write_all(process, content)
            before_dot()
        except BaseException:
            process.kill()  # before its input ends: an unfinished message is discarded
            process.communicate()
            raise
        finally:
            watchdog.cancel()
        self._finish(process, complaints)

    def _finish(self, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
        try:
            process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise UncertainDelivery("the mail program does not end") from None
        if process.returncode < 0:
            raise UncertainDelivery(f"the mail program died of signal {-process.returncode}")
        if process.returncode:
            raise _failure(process.returncode, complaints)


def _start(arguments: list[str], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - vetted arguments, no shell
            arguments, stdin=subprocess.PIPE, stdout=complaints, stderr=complaints
        )
    except OSError as error:
        raise TransientDeliveryError(
            f"{arguments[0]}: {error.strerror}", code="mail-program-missing"
        ) from None


def _write_all(process: subprocess.Popen[bytes], content: bytes) -> None:
    try:
        if process.stdin:
            process.stdin.write(content)
            process.stdin.flush()
    except OSError:
        process.wait()
        raise TransientDeliveryError("the mail program ended early", code="connection_lost") from None


def _failure(exit_code: int, complaints: IO[bytes]) -> TransientDeliveryError | PermanentDeliveryError:
    complaints.seek(0)
    words = complaints.read(_LONGEST_COMPLAINT_BYTES) or f"exit status {exit_code}".encode()
    kind = PermanentDeliveryError if exit_code in _PERMANENT_EXITS else TransientDeliveryError
    return kind(words, code=f"mail-program-exit-{exit_code}")
