"""Write a first ``.env`` with fresh secrets for ``make run``; never overwrites one."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / ".env"
CONTENT = """\
# Settings of this installation; docs/configuration.md explains every one. Keep this file secret and backed
# up: without MAIL_KEYS the stored mailbox passwords cannot be read.
SECRET_KEY={secret_key}
MAIL_KEYS={mail_key}
INSTANCE_NAME=erp-mail
ALLOWED_HOSTS=localhost,127.0.0.1
# HTTPS=false is for trying out on this machine. Behind a TLS proxy: HTTPS=true, BEHIND_PROXY=true.
HTTPS=false
LOG_FORMAT=text
# For a company: DATABASE_URL=postgres://user:password@127.0.0.1:5432/erp and CELERY_BROKER_URL=redis://127.0.0.1:6379/0
"""


def main() -> None:
    """Create the file readable by its owner only."""
    if TARGET.exists():
        return
    key = f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    TARGET.touch(mode=0o600)
    TARGET.write_text(CONTENT.format(secret_key=secrets.token_urlsafe(50), mail_key=key), encoding="utf-8")
    print(f"Wrote {TARGET.name} with fresh keys. First user: .venv/bin/python manage.py createsuperuser")


if __name__ == "__main__":
    main()
