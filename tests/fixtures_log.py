"""Our own log lines, for ``pytest_plugins``: what an operator would read."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest

from jobs import log_lines


class Log:
    """What our own handler writes, whatever level and form."""

    def __init__(self, level: str, form: str) -> None:
        self._stream = io.StringIO()
        configuration = log_lines.configuration(level=level, form=form, secrets=["a-key-of-our-own"])
        configuration["handlers"]["console"]["stream"] = self._stream
        logging.config.dictConfig(configuration)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def write_log() -> Iterator[type[Log]]:
    """``write_log("DEBUG", "json")`` sends all logging through our own handler until the test ends."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {
        name: logging.getLogger(name).level for name in log_lines.configuration(level="", form="")["loggers"]
    }
    yield Log
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)
