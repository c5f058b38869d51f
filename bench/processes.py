"""The programs that take part: our own steps and other people's, each in a process of its own."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

_SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "ENV_FILE": "/nonexistent",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "HTTPS": "false",
    "CELERY_BROKER_URL": "memory://",
    "MAIL_KEYS": f"bench:{base64.b64encode(secrets.token_bytes(32)).decode()}",
    "MAIL_ALLOWED_NETWORKS": "loopback",
    "MAIL_PLAINTEXT_NETWORKS": "127.0.0.0/8,::1/128",
    "MAIL_ALLOWED_PORTS": "any",
    "MAIL_CA_FILE": "",
    "INSTANCE_NAME": "bench",
    "LOG_LEVEL": "WARNING",
}


class Step:
    """One step of one of our modules, begun in its process; ``settings`` are environment variables."""

    def __init__(self, module: str, name: str, *arguments: str, **settings: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, name, *arguments],
            env=environment(**settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        """Return once the step says that it only waits for :meth:`answer`."""
        if not self._process.stdout or self._process.stdout.readline() != "ready\n":
            self._fail(self._process.communicate()[1])

    def begin(self) -> None:
        """Let a step that is ready begin; returns at once."""
        if self._process.stdin:
            self._process.stdin.write("begin\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the end; the JSON object of the step's last line."""
        output, errors = self._process.communicate()
        if self._process.returncode:
            self._fail(output + errors)
        answer: dict[str, Any] = json.loads(output.splitlines()[-1])
        return answer

    def _fail(self, output: str) -> None:
        sys.exit(f"{self._process.args!r} failed:\n{output}")


def step(module: str, name: str, *arguments: str, **settings: str) -> dict[str, Any]:
    """Run one step to its end; its answer."""
    return Step(module, name, *arguments, **settings).answer()


def environment(**settings: str) -> dict[str, str]:
    """What our processes find in their environment."""
    return {**os.environ, **_SETTINGS, **settings}


def peak_memory() -> int:
    """The most bytes this process has held in memory; getrusage would count its parent before exec, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def run(command: list[str]) -> None:
    """Run somebody else's program; show its output when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
