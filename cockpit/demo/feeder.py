"""Sends the sample mails one after the other, remembers how far it came, and never twice."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from cockpit.demo.mailboxes import DemoMailboxes
from cockpit.demo.sample_mails import PATIENCE, SAMPLES, Sample, Situation

FIRST_AFTER_SECONDS = 3.0
INTERVAL_SECONDS = 8.0


class Feeder(threading.Thread):
    """A thread that delivers each sample once, however often the demo is started."""

    def __init__(self, mailboxes: DemoMailboxes, state_file: Path) -> None:
        super().__init__(name="feeder", daemon=True)
        self._mailboxes = mailboxes
        self._state_file = state_file
        self._stopped = threading.Event()

    def run(self) -> None:
        """Deliver until all samples are out or :meth:`stop` is called."""
        pause = FIRST_AFTER_SECONDS
        for sample in SAMPLES[self._position() :]:
            if self._stopped.wait(pause):
                return
            self._deliver(sample)
            if self._stopped.is_set():
                return
            self._state_file.write_text(json.dumps({"delivered": self._position() + 1}))
            pause = INTERVAL_SECONDS

    def stop(self) -> None:
        """End after the current sample."""
        self._stopped.set()

    def _position(self) -> int:
        if not self._state_file.is_file():
            return 0
        return int(json.loads(self._state_file.read_text())["delivered"])

    def _deliver(self, sample: Sample) -> None:
        """Deliver, waiting a while for the mail of ours that the sample refers to."""
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while time.monotonic() < deadline:
            raw = sample.make(Situation(datetime.now(UTC).astimezone(), self._newest(sample.sender)))
            if raw is not None:
                header = f"Return-Path: <{'' if sample.key == 'bounce' else sample.sender}>\r\n".encode()
                self._mailboxes.deliver(
                    sample.recipient, header + raw, received_from=sample.sender.rpartition("@")[2]
                )
                return
            if self._stopped.wait(1.0):
                return

    def _newest(self, address: str) -> bytes | None:
        if not self._mailboxes.exists(address):
            return None
        return next((raw for _, raw in self._mailboxes.messages(address)), None)
