"""Log lines: a JSON object a line for machines, a text line for people; never a secret or a mail's content.

Each bears the ids of its request or task (:mod:`jobs.log_context`). A log call adds values of its own by
``extra={"fields": {…}}``. Control characters are escaped, so that no mail or header can forge a line.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Collection
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from jobs import log_context

logger = logging.getLogger(__name__)

FORMATS = ("json", "text")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_CONTROLS = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(32), *range(127, 160), 0x2028, 0x2029)
} | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}

# Levels of loggers that would tell mail content at DEBUG, or bury what matters.
_LEVELS = {
    "django.request": "ERROR",
    "django.db.backends": "INFO",
    "imapclient": "INFO",
    "axes": "ERROR",
    # The heads of the audit chain belong into the log whatever LOG_LEVEL says.
    "audit.chain": "INFO",
    # A line for every wake-up would bury what matters; jobs.task_log tells what came of a task.
    "celery.beat": "WARNING",
    "celery.worker.strategy": "WARNING",
    "celery.app.trace": "CRITICAL",
    # The demo's SMTP server.
    "mail.log": "ERROR",
}


def configuration(*, level: str, form: str, secrets: Collection[str] = ()) -> dict[str, Any]:
    """``LOGGING`` for Django: everything to standard error, at ``level``, as ``form`` (``json`` or ``text``).

    ``secrets`` never appear in a line, whoever writes it. What is no level or form counts as INFO and JSON;
    ``manage.py check`` says so.
    """
    formatter = TextFormatter if form == "text" else JsonFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "filters": {"redact": {"()": "mailkit.redaction.RedactingFilter", "secrets": tuple(secrets)}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redact"]}
        },
        "root": {"handlers": ["console"], "level": level if level in LEVELS else "INFO"},
        "loggers": {name: {"level": quiet} for name, quiet in _LEVELS.items()},
    }


def tell_uncaught() -> None:
    """Log what nobody catches, in whatever thread, and warnings, as every other line.

    Python would print both as they are, with the values that exceptions carry.
    """

    def tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error or kind(), trace)
        else:
            logger.critical("Nobody caught an exception", exc_info=(kind, error, trace))

    logging.captureWarnings(capture=True)
    sys.excepthook = tell
    threading.excepthook = lambda args: tell(args.exc_type, args.exc_value, args.exc_traceback)


class JsonFormatter(logging.Formatter):
    """``{"time": …, "level": …, "logger": …, "message": …, "request_id": …, …, "exception": …}``"""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """``time LEVEL logger message name=value …``, then the traceback, indented."""

    def format(self, record: logging.LogRecord) -> str:
        values = "".join(f" {name}={value}" for name, value in _fields(record).items() if value != "")
        line = f"{_time(record)} {record.levelname} {record.name} {record.getMessage()}{values}"
        frames = (record.exc_text or "").splitlines()
        return "\n    ".join([line.translate(_CONTROLS), *(frame.translate(_CONTROLS) for frame in frames)])


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {**log_context.fields(), **getattr(record, "fields", {})}
