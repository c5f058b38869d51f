"""Doing harm to the database of the scenarios: PostgreSQL only."""

from __future__ import annotations

import subprocess
from pathlib import Path

from django.db import connection

from scripts import with_services


def terminate_others() -> None:
    """End every other connection to this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def crash() -> None:
    """Stop the server without a word to anybody (its log is replayed) and start it again."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        [data] = cursor.fetchone()
    subprocess.run(
        [
            *with_services.as_other_user(Path(data)),
            with_services.newest_postgresql() / "pg_ctl",
            *("-D", data, "-l", f"{data}/log", "-w", "-m", "immediate", "restart"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )
    connection.close()


def make_commits_lasting() -> None:
    """What was committed must survive :func:`crash`, though not the machine's."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
    connection.close()  # it counts from the next connection on
