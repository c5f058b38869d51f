"""Everything in one process, as a person runs it: it starts, watches mailboxes, and ends when told to."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from cockpit.management.commands.serve import stopped_by_signal
from tests.browser.demo import free_base_port
from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]


def test_the_one_process_watches_mailboxes_and_ends_soon(tmp_path):
    log = tmp_path / "log"
    port, folder = free_base_port(), tmp_path / "demo"
    command = [sys.executable, "scripts/demo.py", "--port", str(port), "--folder", str(folder)]
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


def test_r42_a_signal_that_reaches_another_thread_is_not_missed():
    began = time.monotonic()
    with stopped_by_signal() as wait_for_signal:
        other = threading.Timer(0.3, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
        rescue = threading.Timer(5, os.kill, [os.getpid(), signal.SIGTERM])
        other.start()
        rescue.start()
        wait_for_signal()
        rescue.cancel()
    assert time.monotonic() - began < 4


def test_r42_a_signal_before_the_wait_counts():
    with stopped_by_signal() as wait_for_signal:
        os.kill(os.getpid(), signal.SIGINT)
        wait_for_signal()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # as it was
