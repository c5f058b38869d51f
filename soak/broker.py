"""What beat and a worker do with the broker, in one process and without waiting."""

from __future__ import annotations

from queue import Empty
from typing import Any

import kombu.transport.redis  # noqa: F401  # once, instead of in every process forked from this one

from config.celery import app
from inbound import tasks

app.finalize()


def check() -> None:
    """Beat's checks of due accounts, both kinds; they wake polls through the broker."""
    tasks.check_accounts()
    tasks.check_accounts(failing=True)


def work_off(area: str = "inbound") -> None:
    """Do the tasks of ``area`` that wait in the broker, acknowledged when done, as ``acks_late`` has it.

    Others are dropped: what they do is not looked at in this scenario.
    """
    with app.connection_for_read() as connection:
        for queue in app.conf.task_queues:
            with connection.SimpleQueue(queue) as waiting:
                while (message := _next(waiting)) is not None:
                    _do(message, area)
                    message.ack()


def check_and_work_off() -> None:
    """One period of polling."""
    check()
    work_off()


def _do(message: Any, area: str) -> None:
    name = message.headers["task"]
    if name.startswith(f"{area}."):
        arguments, keywords, _ = message.payload
        app.tasks[name](*arguments, **keywords)


def _next(waiting: Any) -> Any:
    try:
        return waiting.get(block=False)
    except Empty:
        return None
