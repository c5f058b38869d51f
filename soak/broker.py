"""What beat and a worker do with the broker, in one process and without waiting."""

from __future__ import annotations

from queue import Empty
from typing import Any

from config.celery import app
from inbound import tasks


def check() -> None:
    """Beat's checks of due accounts, both kinds; they wake polls through the broker."""
    tasks.check_accounts()
    tasks.check_accounts(failing=True)


def work_off() -> None:
    """Do every task that waits in the broker, acknowledged when done, as ``acks_late`` has it."""
    with app.connection_for_read() as connection:
        for queue in app.conf.task_queues:
            with connection.SimpleQueue(queue) as waiting:
                while (message := _next(waiting)) is not None:
                    arguments, keywords, _ = message.payload
                    app.tasks[message.headers["task"]](*arguments, **keywords)
                    message.ack()


def _next(waiting: Any) -> Any:
    try:
        return waiting.get(block=False)
    except Empty:
        return None
