"""P11: from ``make demo`` in a set-up checkout to its first page."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median

from bench.corpus import ROOT
from bench.table import Result, Row
from tests.browser.demo import free_base_port

LONGEST_SECONDS = 60.0
AGAIN_SECONDS = 0.02


def measure(folder: Path, *, rounds: int) -> Result:
    """Start a demo that nobody started before, and once more with what it has done; the slower one counts."""
    first, again = [], []
    for number in range(rounds):
        data = folder / f"demo{number}"
        first.append(_start(data))
        again.append(_start(data))
        print(f"round {number + 1}: first page after {first[-1]:.1f} s, again {again[-1]:.1f} s", flush=True)
    slower = max(median(first), median(again))
    figure = f"first page after {median(first):.1f} s, at a later start {median(again):.1f} s"
    return Result([Row("P11", figure, "–", "–", "≤ 5 s", slower <= 5)])


def _start(data: Path) -> float:
    """Run ``make demo``; seconds until its login page is there. Ends it afterwards."""
    port = free_base_port()
    command = ["make", "--no-print-directory", "demo", f"DEMO_PORT={port}", f"DEMO_FOLDER={data}"]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while not _answers(port):
            if process.poll() is not None or time.monotonic() - started > LONGEST_SECONDS:
                raise SystemExit(f"{' '.join(command)} shows no page")
            time.sleep(AGAIN_SECONDS)
        return time.monotonic() - started
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(LONGEST_SECONDS)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=LONGEST_SECONDS) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
