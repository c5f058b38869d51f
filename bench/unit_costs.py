"""Measure what the simulation needs to know: ``python -m bench.unit_costs`` writes ``bench/unit_costs.json``.

Real Dovecot over TLS, durable PostgreSQL, an SMTP server with STARTTLS, the corpus of the benchmarks.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench import databases
from bench.corpus import fill
from bench.processes import step
from bench.simulation import UNIT_COSTS
from bench.table import machine
from tests.certificates import CertificateAuthority
from tests.server_smtp import SmtpSink
from tests.servers import Dovecot

ACCOUNTS = 100
MAILS = 500


def main() -> None:
    """Measure and write down."""
    with databases.durable_server() as (folder, base):
        authority = CertificateAuthority(folder)
        certificate = authority.issue()
        with Dovecot(certificate) as server, SmtpSink(security="starttls", certificate=certificate) as sink:
            seconds = measure(server, sink, folder, f"{base}costs", authority.ca_file)
    UNIT_COSTS.write_text(json.dumps({"machine": machine(), "seconds": seconds}, indent=2) + "\n", "utf-8")
    print(UNIT_COSTS.read_text("utf-8"))


def measure(server: Dovecot, sink: SmtpSink, folder: Path, url: str, ca_file: str) -> dict[str, float]:
    """Seconds of each step, by the name it has in the model."""
    databases.create(url)
    surroundings = {"DATABASE_URL": url, "MAIL_CA_FILE": ca_file, "BENCH_PASSWORD": server.password}
    accounts = ["--count", str(ACCOUNTS), "--port", str(server.tls_port)]
    step("bench.poller", "prepare", *accounts, **surroundings)
    source = fill(server, folder, MAILS)
    ports = ["--imap-port", str(server.tls_port), "--smtp-port", str(sink.port)]
    user = ["--username", source.user.username]
    answer = step("bench.unit_cost_steps", "measure", *ports, *user, **surroundings)
    return {name: round(value, 5) for name, value in answer.items()}


if __name__ == "__main__":
    main()
