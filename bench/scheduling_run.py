"""Check the simulation against reality: ``python -m bench.scheduling_run [--record docs/scaling.md]``.

Two Celery worker processes and beat poll a real Dovecot over TLS for three minutes: forty accounts that get
mail now and then, three whose server stays silent, one in which a storm breaks out. The model is given the
same, with unit costs measured just before.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import databases, unit_costs
from bench.processes import environment, step
from bench.simulation_model import Account, Costs, World, percentile
from bench.table import Table, machine, write_between_markers
from scripts import with_services
from tests.certificates import CertificateAuthority
from tests.server_smtp import SmtpSink
from tests.servers import Dovecot, MailUser

HEALTHY, DEAD = 40, 3
STORM = HEALTHY + DEAD
PERIOD = 20.0
TIMEOUT = 10.0
WORKERS = 2
SECONDS = 180.0
MAILS_A_SECOND = 1.0
STORM_MAILS, STORM_AT = 1_500, 60.0
GRACE = 60.0
TOLERANCE_SECONDS, TOLERANCE_SHARE = 3.0, 0.25


@dataclass(frozen=True, slots=True)
class Arrival:
    """A mail and when it arrives, in seconds from the beginning."""

    at: float
    account: int
    message_id: str


def main() -> int:
    """Measure, simulate, compare; 1 where they differ by more than the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--record", type=Path, help="put the comparison into this file, between its markers")
    given = parser.parse_args()
    plan = arrivals()
    with databases.durable_server() as (folder, base):
        costs, measured = real(folder, base, plan)
    simulated = imagined(costs, plan)
    text, agrees = comparison(measured, simulated)
    print(text)
    if given.record:
        write_between_markers(given.record, "measured", f"{machine()}\n\n{text}")
    return 0 if agrees else 1


def arrivals() -> list[Arrival]:
    """Mail for the healthy accounts at random, and the storm."""
    chance = random.Random(1)  # noqa: S311  # a plan, not a secret
    plan: list[Arrival] = []
    moment = 0.0
    while (moment := moment + chance.expovariate(MAILS_A_SECOND)) < SECONDS:
        plan.append(Arrival(moment, chance.randrange(HEALTHY), f"m{len(plan)}@bench.example"))
    return plan


# --- reality


def real(folder: Path, base: str, plan: Sequence[Arrival]) -> tuple[Costs, list[float]]:
    """Unit costs on this machine, and the lag of each planned mail."""
    authority = CertificateAuthority(folder)
    certificate = authority.issue()
    with (
        with_services.redis(folder) as broker,
        Dovecot(certificate) as server,
        SmtpSink(security="starttls", certificate=certificate) as sink,
        socket.create_server(("127.0.0.1", 0), backlog=200) as silent,
    ):
        costs = Costs(**unit_costs.measure(server, sink, folder, f"{base}costs", authority.ca_file))
        databases.create(f"{base}run")
        surroundings = {
            "DATABASE_URL": f"{base}run",
            "CELERY_BROKER_URL": broker,
            "MAIL_CA_FILE": authority.ca_file,
            "MAIL_TIMEOUT_SECONDS": str(int(TIMEOUT)),
            "BENCH_PASSWORD": server.password,
        }
        accounts = ["--count", str(STORM + 1), "--port", str(server.tls_port)]
        step("bench.poller", "prepare", *accounts, **surroundings)
        with psycopg.connect(f"{base}run", autocommit=True) as database:
            _arrange(database, silent.getsockname()[1])
            with _workers(surroundings, folder):
                arrived = _deliver(server, plan)
                return costs, _lags(database, arrived)


def _arrange(database: psycopg.Connection, silent_port: int) -> None:
    database.execute("UPDATE mailaccounts_imapsettings SET poll_seconds = %s", [PERIOD])
    dead = [f"a{number}@firma.example" for number in range(HEALTHY, STORM)]
    database.execute(
        "UPDATE mailaccounts_imapsettings SET port = %s WHERE username = ANY(%s)", [silent_port, dead]
    )
    database.execute(
        "UPDATE mailaccounts_accounthealth SET next_poll_at = now() + random() * %s * interval '1 second'",
        [PERIOD],
    )


@contextlib.contextmanager
def _workers(surroundings: Mapping[str, str], folder: Path) -> Iterator[None]:
    celery = [sys.executable, "-m", "celery", "-A", "config"]
    commands = (
        [*celery, "worker", "--concurrency", str(WORKERS), "--loglevel", "WARNING"],
        [*celery, "beat", "--loglevel", "WARNING", "--schedule", str(folder / "beat")],
    )
    with (folder / "workers.log").open("wb") as log, contextlib.ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(command, env=environment(**surroundings), stdout=log, stderr=log)
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
        time.sleep(5)  # they start
        yield


def _deliver(server: Dovecot, plan: Sequence[Arrival]) -> dict[str, float]:
    """Put every mail into its mailbox at its moment; when that was, by the clock, for each Message-ID."""
    began, arrived, storm_is_due = time.time(), {}, True
    for arrival in plan:
        if storm_is_due and arrival.at >= STORM_AT:
            storm_is_due = False
            _append(server, STORM, *(f"s{number}@bench.example" for number in range(STORM_MAILS)))
        time.sleep(max(0.0, began + arrival.at - time.time()))
        _append(server, arrival.account, arrival.message_id)
        arrived[arrival.message_id] = time.time()
    return arrived


def _append(server: Dovecot, account: int, *message_ids: str) -> None:
    user = MailUser(f"a{account}@firma.example", server.password)
    server.deliver(user, *(_mail(message_id) for message_id in message_ids))


def _mail(message_id: str) -> bytes:
    head = f"From: a@customer.example\r\nTo: b@firma.example\r\nSubject: {message_id}\r\n"
    return f"{head}Message-ID: <{message_id}>\r\n\r\n{'Good day.' * 500}\r\n".encode()


def _lags(database: psycopg.Connection, arrived: Mapping[str, float]) -> list[float]:
    """Seconds from arrival to ticket; what has not come GRACE seconds after the last counts as that late."""
    query = "SELECT message_id, extract(epoch FROM processed_at)::float FROM inbound_incomingmessage"
    deadline = time.time() + GRACE
    while True:
        done = {name: at for name, at in database.execute(query) if name in arrived and at}
        if len(done) == len(arrived) or time.time() > deadline:
            return [done.get(name, deadline) - at for name, at in arrived.items()]
        time.sleep(1)


# --- the model


def imagined(costs: Costs, plan: Sequence[Arrival]) -> list[float]:
    """The same in the model."""
    accounts = [Account(number, period=PERIOD, answers_after=0.02) for number in range(STORM + 1)]
    for dead in accounts[HEALTHY:STORM]:
        dead.is_dead = True
    world = World(accounts, costs, workers=WORKERS, timeout=TIMEOUT)
    for arrival in plan:
        world.arrive(accounts[arrival.account], [arrival.at])
    world.arrive(accounts[STORM], [STORM_AT] * STORM_MAILS)
    world.run(SECONDS + GRACE)
    return [lag for account in accounts[:HEALTHY] for lag in account.late_lags(0)]


def comparison(measured: Sequence[float], simulated: Sequence[float]) -> tuple[str, bool]:
    """A table of both, and whether they agree."""
    table = Table("lag of the healthy accounts", "measured", "simulated")
    agrees = len(measured) == len(simulated)
    for share in (0.5, 0.95):
        real_one, model = percentile(measured, share), percentile(simulated, share)
        agrees &= abs(real_one - model) <= max(TOLERANCE_SECONDS, TOLERANCE_SHARE * real_one)
        table.add(f"p{share * 100:.0f} of {len(measured)} mails", f"{real_one:.1f} s", f"{model:.1f} s")
    return str(table), agrees


if __name__ == "__main__":
    sys.exit(main())
