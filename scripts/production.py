"""What a production environment looks like, for checks; nothing is read from .env."""

from __future__ import annotations

PRODUCTION = {
    "ENV_FILE": "/nonexistent",
    "SECRET_KEY": "check-only-" + "Zk3vQx81LmT0pWs7Bd" * 3,
    "MAIL_KEYS": "k1:" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "ALLOWED_HOSTS": "erp.example",
    "BEHIND_PROXY": "true",
    "BASE_URL": "https://erp.example",
    "DATABASE_URL": "sqlite:///:memory:",
}
