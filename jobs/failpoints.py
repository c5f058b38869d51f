"""Places where a test kills this process, to prove what a crash there leaves behind.

``FAILPOINT=after_commit`` in the environment makes the process die at that place as by ``kill -9``;
``FAILPOINT=after_commit:3`` when it comes there for the third time. Without the variable, and outside
``DEBUG`` and tests, nothing happens.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

from django.conf import settings

_passed: Counter[str] = Counter()


def reached(name: str) -> None:
    """Die here when this is the place, and the time, that ``FAILPOINT`` names."""
    wanted, _, times = os.environ.get("FAILPOINT", "").partition(":")
    if name != wanted or not (settings.DEBUG or settings.INSTANCE_NAME == "tests"):
        return
    _passed[name] += 1
    if _passed[name] >= int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)
