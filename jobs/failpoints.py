"""Places where a test kills this process, to prove what a crash there leaves behind.

``FAILPOINT=after_commit`` in the environment makes the process die at that place as by ``kill -9``. Without
the variable, and outside ``DEBUG`` and tests, nothing happens.
"""

from __future__ import annotations

import os
import signal

from django.conf import settings

_WANTED = os.environ.get("FAILPOINT", "")


def reached(name: str) -> None:
    """Die here when this is the place that ``FAILPOINT`` names."""
    if _WANTED and name == _WANTED and (settings.DEBUG or settings.INSTANCE_NAME == "tests"):
        os.kill(os.getpid(), signal.SIGKILL)
