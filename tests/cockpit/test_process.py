"""Everything in one process, as a person runs it: it starts, watches mailboxes, and ends when told to."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]


def test_the_one_process_watches_mailboxes_and_ends_soon(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "scripts/demo.py", "--port", str(_port()), "--folder", str(tmp_path / "demo")]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "LOG_LEVEL": "INFO"}, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: log.read_text().count(": connected") >= 3, "mailboxes are watched", 60)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 10
    finally:
        process.kill()
        process.wait()


def _port() -> int:
    """A port whose companions for IMAP and SMTP, a little above, are free, too: below those that the system
    gives away, as other tests get theirs there.
    """
    return next(port for port in range(21_000 + os.getpid() % 9_000, 32_000) if _are_free(port))


def _are_free(port: int) -> bool:
    for one in (port, port + 25, port + 143):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", one)) == 0:
                return False
    return True
