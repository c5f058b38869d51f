"""A broker that takes connections and says nothing: a frozen Redis, or a firewall that forgets (R6)."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A page that wakes a worker, and a scrape of /metrics.
_ASKS = """
import django
django.setup()
import config.celery
from inbound.tasks import wake_poll
from jobs import queues
wake_poll(1)
print(queues.lengths())
"""


@pytest.fixture
def silent_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_r6_a_silent_broker_keeps_nobody_waiting_for_ever(silent_port):
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ENV_FILE": "/nonexistent",
        "SECRET_KEY": "x" * 50,
        "CELERY_BROKER_URL": f"redis://127.0.0.1:{silent_port}/0",
    }
    asked = subprocess.run(
        [sys.executable, "-c", _ASKS],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert asked.stdout.strip() == "{}"
    assert "Could not wake inbound.poll_account" in asked.stderr
