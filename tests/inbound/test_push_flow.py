"""Push with the product's own processes: a ticket within a second, whoever is restarted (P6, R5, R6)."""

import os
import time
import uuid

import psycopg
import pytest
import redis

from bench import databases
from bench.installation import Installation
from scripts import with_services

# Dovecot keeps news back for half a second, and other tests share the machine.
TOLERATED_SECONDS = 3.0
# Starting a process, or finding mail by telling again, which takes half a minute at most.
PATIENT_SECONDS = 60.0

pytestmark = [
    pytest.mark.skipif("TEST_DATABASE_URL" not in os.environ, reason="needs PostgreSQL and Redis"),
    pytest.mark.xdist_group("push"),
]


@pytest.fixture(scope="module")
def installation(dovecot, authority, tmp_path_factory):
    """Watcher and worker with a database and a broker of their own, running and warm."""
    database_url = f"{os.environ['TEST_DATABASE_URL'].rpartition('/')[0]}/push_flow_{uuid.uuid4().hex}"
    databases.create(database_url)
    with (
        with_services.redis(tmp_path_factory.mktemp("redis")) as broker,
        Installation(dovecot, authority.ca_file, database_url, broker) as running,
    ):
        running.start("worker")
        running.start("watcher")
        running.deliver("warm")
        running.wait_for_ticket("warm", longest=PATIENT_SECONDS)
        yield running
    databases.drop(database_url)


def seconds_to_ticket(installation, subject: str, *, longest: float) -> float:
    arrived = installation.deliver(subject)
    return installation.wait_for_ticket(subject, longest=longest) - arrived


def test_p6_mail_is_a_ticket_within_a_second_of_its_arrival(installation):
    seconds = sorted(
        seconds_to_ticket(installation, f"arrival-{number}", longest=PATIENT_SECONDS) for number in range(5)
    )
    # The middle one: none of them waits for anything but Dovecot.
    assert seconds[2] < TOLERATED_SECONDS


def test_what_comes_while_no_watcher_runs_is_found_when_it_starts(installation):
    installation.stop("watcher")
    installation.deliver("meanwhile")
    installation.start("watcher")
    installation.wait_for_ticket("meanwhile", longest=PATIENT_SECONDS)
    seconds_to_ticket(installation, "after the watcher", longest=PATIENT_SECONDS)


def test_r6_a_broker_that_loses_everything_costs_no_mail(installation):
    with redis.from_url(installation.broker_url) as broker:
        broker.flushall()
    seconds_to_ticket(installation, "after the flush", longest=PATIENT_SECONDS)


def test_r5_mail_that_comes_while_the_database_is_away_is_found_when_it_is_back(installation):
    name = installation.database_url.rpartition("/")[2]
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as administrator:
        administrator.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        installation.deliver("without a database")
        time.sleep(1.5)  # the wake-up comes, and fails
        administrator.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    with psycopg.connect(installation.database_url) as database:
        # A poll that the outage broke off could not give its lease back: as two minutes would.
        database.execute("UPDATE jobs_lease SET expires_at = now()")
    installation.wait_for_ticket("without a database", longest=PATIENT_SECONDS)
    seconds_to_ticket(installation, "afterwards", longest=PATIENT_SECONDS)
