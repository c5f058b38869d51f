"""``make demo``: run the demo with an environment of its own (var/demo), whatever .env says."""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "demo"


def main() -> None:
    """Become ``manage.py demo`` in that environment."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=8000)
    port = options.parse_args().port
    os.environ.update(environment(port))
    manage = [sys.executable, str(ROOT / "manage.py")]
    os.execv(sys.executable, [*manage, "demo", "--port", str(port)])  # noqa: S606  # our own command


def environment(port: int) -> dict[str, str]:
    """Settings of the demo: SQLite, the in-memory broker, loopback with the demo's own authority."""
    imap_port, smtp_port = port + 143, port + 25
    return {
        "ENV_FILE": "/nonexistent",
        "DATABASE_URL": f"sqlite:///{FOLDER / 'erp.sqlite3'}",
        "CELERY_BROKER_URL": "memory://",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "INSTANCE_NAME": "demo",
        "MAIL_ALLOWED_NETWORKS": "loopback",
        "MAIL_ALLOWED_PORTS": f"{imap_port},{smtp_port}",
        "MAIL_CA_FILE": str(FOLDER / "ca.pem"),
        "DEMO_FOLDER": str(FOLDER),
        **keys(),
    }


def keys() -> dict[str, str]:
    """The demo's secrets, made once."""
    file = FOLDER / "keys.json"
    if not file.is_file():
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        mail_key = f"demo:{base64.b64encode(secrets.token_bytes(32)).decode()}"
        file.write_text(json.dumps({"SECRET_KEY": secrets.token_urlsafe(50), "MAIL_KEYS": mail_key}))
    stored: dict[str, str] = json.loads(file.read_text())
    return stored


if __name__ == "__main__":
    main()
