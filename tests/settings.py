"""Settings of the suite: the application's own, with an environment that is the same on every machine.

``TEST_DATABASE_URL`` chooses the database (default: an SQLite file); nothing is read from ``.env``.
"""

import os
import tempfile
from pathlib import Path

_FOLDER = Path(tempfile.gettempdir()) / f"erp-mail-tests-{os.getuid()}"
_FOLDER.mkdir(mode=0o700, exist_ok=True)

os.environ.update(
    ENV_FILE="/nonexistent",
    SECRET_KEY="only-for-tests-" + "fedcba9876543210" * 4,
    HTTPS="false",
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{_FOLDER / 'unused.sqlite3'}",
    CELERY_BROKER_URL=os.environ.get("TEST_BROKER_URL") or "memory://",
    MAIL_KEYS="test:" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    MAIL_ALLOWED_NETWORKS="loopback",
    MAIL_PLAINTEXT_NETWORKS="127.0.0.0/8,::1/128",
    MAIL_ALLOWED_PORTS="any",
    MAIL_TIMEOUT_SECONDS="10",
    MAIL_CA_FILE="",
    INSTANCE_NAME="tests",
    LOG_LEVEL="WARNING",
)

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, STORAGES  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not the shared in-memory database: that one knows neither WAL nor a busy timeout.
    DATABASES["default"]["TEST"] = {"NAME": str(_FOLDER / "test.sqlite3")}
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT = _FOLDER / "static"
STATIC_ROOT.mkdir(exist_ok=True)
