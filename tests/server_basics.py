"""What all test servers need: ports, waiting, and the programs themselves."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from scripts.with_services import ENDING_WITH_US

READY_SECONDS = 15.0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_until(condition: Callable[[], object], what: str, seconds: float = READY_SECONDS) -> None:
    """Return once ``condition`` holds; fail the test after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} within {seconds} s: it did not happen")
        threading.Event().wait(0.01)


def answers(port: int) -> bool:
    """Tell whether something listens on ``port`` of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def require_program(name: str, package: str) -> str:
    """Return the path of ``name``.

    Missing: skip the test, or, where CI=true, end the run and say what to install.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path:
        return path
    message = f"{name} is missing: apt install {package}"
    if os.environ.get("CI") == "true":
        pytest.exit(message, returncode=4)
    pytest.skip(message)


class ServerProcess(ABC):
    """A server with a folder of its own, ``root``; use it in a ``with`` statement, which ends both.

    It is ready when it answers on ``port``.
    """

    port: int
    ready_seconds: ClassVar[float] = READY_SECONDS

    @abstractmethod
    def launch(self) -> "subprocess.Popen[bytes]":
        """Fill ``root`` and start the program, by :meth:`spawn`."""

    def spawn(self, *command: str, **options: Any) -> "subprocess.Popen[bytes]":
        """Start ``command``, which ends with us at the latest; ``options`` are Popen's."""
        # With our own stdout it would keep whoever reads that waiting.
        return subprocess.Popen([*ENDING_WITH_US, *command], stdout=subprocess.DEVNULL, **options)

    def __enter__(self) -> Self:
        name = type(self).__name__
        # Unix sockets live below: the path must stay short.
        self.root = Path(tempfile.mkdtemp(prefix=f"{name.lower()}-", dir="/tmp"))
        with contextlib.ExitStack() as failure:
            failure.callback(shutil.rmtree, self.root, ignore_errors=True)
            self.root.chmod(0o755)
            self._process = self.launch()
            failure.callback(stop, self._process)
            wait_until(self._is_ready, f"{name} answers", self.ready_seconds)
            failure.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        stop(self._process)
        shutil.rmtree(self.root, ignore_errors=True)

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"{type(self).__name__} ended: {self.log()}")
        return answers(self.port)

    def log(self) -> str:
        """Return what it wrote so far."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.root.glob("*log")))


def stop(process: "subprocess.Popen[bytes]", seconds: float = 10.0) -> None:
    """End ``process``: kindly, then, after ``seconds``, by force."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
