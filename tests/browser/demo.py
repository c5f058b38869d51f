"""Running the demo for tests: the very command of ``make demo``, with a folder and ports of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cockpit.demo.cast import IMAP_OFFSET, SMTP_OFFSET
from cockpit.demo.mailboxes import DemoMailboxes

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
STOP_SECONDS = 40.0


@dataclass
class RunningDemo:
    """A demo that answers; ``process`` is its own process group's leader."""

    url: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def mailboxes(self) -> DemoMailboxes:
        """The mailboxes of its mail server."""
        return DemoMailboxes(self.folder / "mail")

    def interrupt(self) -> int:
        """Press Ctrl-C in its terminal and return the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_SECONDS)


@contextlib.contextmanager
def running_demo(folder: Path) -> Iterator[RunningDemo]:
    """Start the demo with its data in ``folder``; end it afterwards if the test has not."""
    port = free_base_port()
    log = (folder.parent / f"{folder.name}.log").open("ab")
    command = [sys.executable, "scripts/demo.py", "--port", str(port), "--folder", str(folder)]
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
    )
    demo = RunningDemo(f"http://127.0.0.1:{port}", port, folder, process)
    try:
        wait_until_served(demo)
        yield demo
    finally:
        if process.poll() is None:
            demo.interrupt()
        log.close()


def free_base_port() -> int:
    """A port that is free together with the two beside it that the demo takes."""
    while True:
        with contextlib.ExitStack() as stack:
            web = stack.enter_context(socket.socket())
            web.bind(("127.0.0.1", 0))
            port = int(web.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                for offset in (IMAP_OFFSET, SMTP_OFFSET):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
                return port


def wait_until_served(demo: RunningDemo) -> None:
    """Return once the login page is there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and demo.process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{demo.url}/login/", timeout=2)
            return
        time.sleep(0.1)
    raise AssertionError(f"the demo did not start: {demo.folder.parent / (demo.folder.name + '.log')}")
