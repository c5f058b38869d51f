"""``poll_once`` on the test database in a process of its own, killed, or starved of memory or disk."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def run_poll(failpoint: str = "", *, memory: int = 0, file_size: int = 0) -> subprocess.CompletedProcess:
    """Poll all accounts until the process dies at ``failpoint``, or is done.

    ``memory``: how many bytes it may take on top of what it needs to start; ``file_size``: how many a file
    may have that it writes to. 0: as many as it likes.
    """
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "FAILPOINT": failpoint,
        "POLL_DATABASE": str(connection.settings_dict["NAME"]),
        "POLL_MEMORY": str(memory),
        "POLL_FILE_SIZE": str(file_size),
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.inbound.poll_process"],
        cwd=ROOT, env=environment, capture_output=True, timeout=120, check=False, text=True,
    )  # fmt: skip


def _limit(kind: int, size: int) -> None:
    resource.setrlimit(kind, (size, size))


if __name__ == "__main__":
    settings.DATABASES["default"]["NAME"] = os.environ["POLL_DATABASE"]
    django.setup()
    if further := int(os.environ["POLL_MEMORY"]):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + further)
    if largest := int(os.environ["POLL_FILE_SIZE"]):
        _limit(resource.RLIMIT_FSIZE, largest)
    call_command("poll_once")
