"""One log line a task: what it was woken by, how long it took, what came of it.

Celery hands ``root_id`` on from a task to those it wakes. A task woken by a request begins with that
request's id, so that one search follows a click to its poll or delivery. The outcome is what the task
returns, a mapping of counts; tasks that return None (the ticks of beat) are told at DEBUG only.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Mapping, Sequence
from contextvars import Token
from dataclasses import dataclass
from typing import Any

from celery import Task
from celery.signals import before_task_publish, setup_logging, task_failure, task_postrun, task_prerun

from jobs import log_context

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Running:
    token: Token[Mapping[str, Any]]
    began: float


_running: dict[str, _Running] = {}


@setup_logging.connect
def leave_logging_alone(**_kwargs: Any) -> None:
    """Django has configured it; Celery would set levels of its own."""


@before_task_publish.connect
def hand_on_request_id(headers: dict[str, Any], **_kwargs: Any) -> None:
    """Name the request, or what woke the present task, as the origin of the task that is sent."""
    request_id = log_context.fields().get("request_id")
    if request_id:
        headers["root_id"] = request_id


@task_prerun.connect
def bind_task(task_id: str, task: Task[..., object], args: Sequence[Any], **_kwargs: Any) -> None:
    """Let every line of the task bear its ids; arguments are ids, named like the task's parameters."""
    ids = dict(zip(inspect.signature(task.run).parameters, args, strict=False))
    token = log_context.bind(
        request_id=task.request.root_id or task_id, task_id=task_id, task=task.name, **ids
    )
    _running[task_id] = _Running(token, time.monotonic())


@task_postrun.connect
def tell_outcome(
    task_id: str, task: Task[..., object], retval: object, state: str | None, **_kwargs: Any
) -> None:
    """Write the line of a task that went through, and forget its ids."""
    running = _running.pop(task_id, None)
    if running is None:
        return
    outcome = dict(retval) if isinstance(retval, Mapping) else {}
    level = logging.WARNING if outcome.get("error") else logging.INFO if outcome else logging.DEBUG
    if state == "SUCCESS":
        logger.log(
            level,
            "%s done",
            task.name,
            extra={"fields": {**outcome, "duration_ms": _milliseconds(running.began)}},
        )
    log_context.unbind(running.token)


@task_failure.connect
def tell_failure(task_id: str, sender: Task[..., object], exception: Exception, **_kwargs: Any) -> None:
    """Write the line of a task that broke off, with the traceback."""
    running = _running.get(task_id)
    fields = {"duration_ms": _milliseconds(running.began)} if running else {}
    logger.error("%s failed", sender.name, exc_info=exception, extra={"fields": fields})


def _milliseconds(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
