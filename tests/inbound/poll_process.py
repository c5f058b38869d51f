"""Run as a process of its own: ``poll_once`` on the test database, to be killed at a failpoint.

``POLL_MEMORY``: how many bytes it may take on top of what it needs to start. ``POLL_FILE_SIZE``: how many a
file may have that it writes to.
"""

import os
import resource
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

if __name__ == "__main__":
    settings.DATABASES["default"]["NAME"] = os.environ["POLL_DATABASE"]
    django.setup()
    if memory := os.environ.get("POLL_MEMORY"):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + int(memory)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if size := os.environ.get("POLL_FILE_SIZE"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    call_command("poll_once")
