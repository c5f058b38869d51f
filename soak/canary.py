"""I5: the mailboxes' password must not turn up in logs, in the broker or in the database."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.db import connection
from redis import Redis

from scripts import with_services
from soak.services import CANARY


def leaks(log: Path, broker_url: str, *, with_database: bool) -> Iterator[str]:
    """Where it was found. ``with_database`` takes a second: the whole of it is dumped."""
    if log.exists() and holds(log.read_bytes()):
        yield f"the password is in {log}"
    broker = Redis.from_url(broker_url)
    broker.config_set("rdbcompression", "no")  # in what DUMP compresses the password may be broken up
    if any(holds(broker.dump(key) or b"") for key in broker.scan_iter()):
        yield "the password is in Redis"
    if with_database and connection.vendor == "postgresql" and holds(_dump()):
        yield "the password is in the database"


def _dump() -> bytes:
    known = connection.settings_dict
    program = with_services.newest_postgresql() / "pg_dump"
    command = [program, "-U", known["USER"], "-h", known["HOST"], "-p", str(known["PORT"]), known["NAME"]]
    return subprocess.run(command, capture_output=True, check=True).stdout


def holds(data: bytes) -> bool:
    """Whether the password is in there, plain, in hexadecimal or in base64."""
    return any(form in data for form in _FORMS)


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """What stays the same of the secret in base64, whatever stands before and after it."""
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + secret)[-(-shift * 8 // 6) or 0 : -4]


_FORMS = (CANARY.encode(), CANARY.encode().hex().encode(), *_base64_forms(CANARY.encode()))
