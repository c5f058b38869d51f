"""Push: from the moment a mail lies in Dovecot to its ticket, with the product's own processes."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median, quantiles

from bench import databases
from bench.installation import Installation
from bench.table import Result, Row
from scripts import with_services
from tests.certificates import CertificateAuthority
from tests.servers import Dovecot

FIRST_SECONDS = 60.0
LONGEST_SECONDS = 30.0
# Arrivals are no storm, whose pace is bounded.
PAUSE_SECONDS = 1.5


def measure(folder: Path, base: str, *, count: int) -> Result:
    """Deliver ``count`` mails one after the other while watcher and worker run; seconds each took."""
    url = f"{base}bench_push"
    databases.create(url)
    authority = CertificateAuthority(folder)
    with (
        Dovecot(authority.issue()) as server,
        with_services.redis(folder) as broker,
        Installation(server, authority.ca_file, url, broker) as installation,
    ):
        installation.start("worker")
        installation.start("watcher")
        installation.deliver("warm")
        installation.wait_for_ticket("warm", longest=FIRST_SECONDS)
        seconds = [_arrive(installation, f"arrival-{number}") for number in range(count)]
    print(f"arrival to ticket: {', '.join(f'{one:.2f}' for one in seconds)} s", flush=True)
    slow = quantiles(seconds, n=20)[-1]
    figure = f"arrival to ticket {median(seconds):.2f} s, 95th percentile {slow:.2f} s"
    return Result([Row("push", figure, "Dovecot's own delay 0.5 s", "–", "≤ 1 s", slow <= 1)])


def _arrive(installation: Installation, subject: str) -> float:
    time.sleep(PAUSE_SECONDS)
    arrived = installation.deliver(subject)
    return installation.wait_for_ticket(subject, longest=LONGEST_SECONDS) - arrived
