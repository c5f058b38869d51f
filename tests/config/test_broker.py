"""Whoever can write into the broker gains no code and no file (T18)."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml
from kombu import Connection, Exchange
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads, prepare_accept_content

from config.celery import app
from scripts.with_services import free_port, wait_for_port
from tests.server_basics import stop

COMPOSE = yaml.safe_load((Path(__file__).resolve().parents[2] / "docker-compose.yml").read_text())
PASSWORD = "geheim4711"


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    """A Redis started with the command of docker-compose.yml."""
    port = free_port()
    written = COMPOSE["services"]["redis"]["command"]
    command = [re.sub(r"\$\{REDIS_PASSWORD:\?[^}]+\}", PASSWORD, word) for word in written]
    folder = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen(
        [*command, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process)
        yield port
    finally:
        stop(process)


@pytest.fixture
def broker(port) -> Iterator[redis.Redis]:
    with redis.Redis(port=port, username="erp", password=PASSWORD) as client:
        yield client


def test_t18_messages_are_json_and_nothing_else():
    accepted = prepare_accept_content(app.conf.accept_content)
    assert accepted == {"application/json"}
    assert {app.conf.task_serializer, app.conf.result_serializer} == {"json"}
    with pytest.raises(ContentDisallowed):
        loads(pickle.dumps({}), "application/x-python-serialize", "binary", accept=accepted)


def test_t18_tasks_take_numbers_of_rows_and_switches():
    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    assert len(ours) > 8
    taken = {
        (name, parameter.name): parameter.annotation
        for name, task in ours.items()
        for parameter in inspect.signature(task.run).parameters.values()
    }
    assert taken.pop(("mailaccounts.run_connection_test", "test_uuid")) == "str"
    assert {where: kind for where, kind in taken.items() if kind not in {"int", "bool"}} == {}


@pytest.mark.servers
def test_t18_the_broker_of_compose_does_what_celery_needs(port):
    with Connection(f"redis://erp:{PASSWORD}@127.0.0.1:{port}/0") as connection:
        queue = connection.SimpleQueue(f"t18-{uuid.uuid4().hex}")
        queue.put({"id": 1}, serializer="json")
        assert queue.qsize() == 1
        message = queue.get(timeout=10)
        assert message.payload == {"id": 1}
        queue.channel.qos.restore_visible()  # takes a lock, which is a script
        message.ack()
        queue.close()
        channel = connection.channel()  # what `celery inspect ping` answers through
        fanout = Exchange("t18", type="fanout", channel=channel)
        fanout.declare()
        fanout.publish(fanout.Message("ping"))


@pytest.mark.servers
@pytest.mark.parametrize(
    "command",
    [
        "CONFIG SET dir /tmp",
        "CONFIG SET dbfilename x.so",
        "MODULE LOAD /tmp/x.so",
        "REPLICAOF 192.0.2.1 6379",
        "DEBUG SLEEP 0",
        "SAVE",
        "KEYS *",
        "FLUSHALL",
        "ACL LIST",
        "SHUTDOWN",
    ],
)
def test_t18_the_broker_of_compose_does_nothing_else(broker, command):
    with pytest.raises(redis.exceptions.ResponseError, match=r"no permissions|not allowed"):
        broker.execute_command(*command.split())


@pytest.mark.servers
def test_t18_without_the_password_one_may_ping(port):
    with redis.Redis(port=port) as stranger:
        assert stranger.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            stranger.lpush("celery", "{}")
    guesser = redis.Redis(port=port, username="erp", password="falsch")
    with guesser, pytest.raises(redis.exceptions.AuthenticationError):
        guesser.ping()
