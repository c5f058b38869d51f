"""What all test servers need: ports, waiting, and the programs themselves."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

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


def stop(process: "subprocess.Popen[bytes]", seconds: float = 10.0) -> None:
    """End ``process``: kindly, then, after ``seconds``, by force."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
