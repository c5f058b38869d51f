"""gunicorn reads this by itself when started here; WEB_CONCURRENCY sets the number of workers.

A request in hand at SIGTERM is answered, for up to 30 seconds.
"""

import os

from config import settings

workers = int(os.environ.get("WEB_CONCURRENCY", "3"))
graceful_timeout = 30
# Nobody steers it from outside, and there may be no home to put a socket into.
control_socket_disable = True
# Heartbeat files on a disk that blocks would look like dead workers.
worker_tmp_dir = "/dev/shm"  # noqa: S108  # gunicorn makes files of its own user's in it
# Its own lines look like all others; each request is told by config.request_log.
logconfig_dict = settings.LOGGING | {
    "loggers": settings.LOGGING["loggers"] | {"gunicorn.error": {"level": "INFO", "propagate": True}}
}
