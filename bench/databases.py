"""Databases of a benchmark: prepared once, copied for every round, everything before it written to disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from scripts import with_services


@contextmanager
def durable_server() -> Iterator[tuple[Path, str]]:
    """A folder, and a PostgreSQL as it comes: what the URLs of its databases begin with."""
    with tempfile.TemporaryDirectory(prefix="erp-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with with_services.postgresql(folder / "pg", durable=True) as url:
            yield folder, url.removesuffix("postgres")


def create(url: str) -> None:
    """Create an empty database; SQLite does so by itself."""
    if urlsplit(url).scheme != "sqlite":
        _administer(url, f"CREATE DATABASE {_name(url)}")


def copy(url: str, number: int) -> str:
    """Copy the prepared database; return the URL of the copy."""
    if urlsplit(url).scheme == "sqlite":
        path = urlsplit(url).path
        shutil.copy(path, f"{path}{number}")
    else:
        _administer(url, f"CREATE DATABASE {_name(url)}{number} TEMPLATE {_name(url)}", "CHECKPOINT")
    return f"{url}{number}"


def drop(url: str) -> None:
    """Remove a database."""
    if urlsplit(url).scheme == "sqlite":
        path = Path(urlsplit(url).path)
        for file in path.parent.glob(path.name + "*"):
            file.unlink()
    else:
        _administer(url, f"DROP DATABASE {_name(url)}", "CHECKPOINT")


def _name(url: str) -> str:
    return urlsplit(url).path[1:]


def _administer(url: str, *statements: str) -> None:
    with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
