"""When a COMMIT may return (docs/adr/0014)."""

from __future__ import annotations

from django.db import connection


def commit_without_waiting() -> None:
    """Let the COMMIT of the current transaction return before it is on disk; call it inside the transaction.

    For what a crash may take back without harm. The next COMMIT that waits writes it out, too: the log is
    written in order. PostgreSQL only; SQLite commits as ever.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO off")
