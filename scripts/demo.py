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
sys.path.insert(0, str(ROOT))

from cockpit.demo.cast import IMAP_OFFSET, SMTP_OFFSET  # noqa: E402  # the repository is not installed
from cockpit.demo.certificates import ensure_certificates  # noqa: E402  # the repository is not installed


def main() -> None:
    """Become ``manage.py demo`` in that environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "demo", help="where the demo keeps its data"
    )
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ensure_certificates(folder)
    os.environ.update(environment(folder, options.port))
    os.execv(sys.executable, [sys.executable, str(ROOT / "manage.py"), "demo", "--port", str(options.port)])  # noqa: S606  # our own command


def environment(folder: Path, port: int) -> dict[str, str]:
    """Settings of the demo: SQLite, the in-memory broker, loopback with the demo's own authority."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ENV_FILE": "/nonexistent",
        "DATABASE_URL": f"sqlite:///{folder / 'erp.sqlite3'}",
        "CELERY_BROKER_URL": "memory://localhost/",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "LOG_FORMAT": "text",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "BASE_URL": f"http://127.0.0.1:{port}",
        "INSTANCE_NAME": "demo",
        "MAIL_ALLOWED_NETWORKS": "loopback",
        "MAIL_ALLOWED_PORTS": f"{port + IMAP_OFFSET},{port + SMTP_OFFSET}",
        "MAIL_CA_FILE": str(folder / "ca.pem"),
        "DEMO_FOLDER": str(folder),
        **keys(folder / "keys.json"),
    }


def keys(file: Path) -> dict[str, str]:
    """The demo's secrets, made once."""
    if not file.is_file():
        file.touch(mode=0o600)
        mail_key = f"demo:{base64.b64encode(secrets.token_bytes(32)).decode()}"
        file.write_text(json.dumps({"SECRET_KEY": secrets.token_urlsafe(50), "MAIL_KEYS": mail_key}))
    stored: dict[str, str] = json.loads(file.read_text())
    return stored


if __name__ == "__main__":
    main()
