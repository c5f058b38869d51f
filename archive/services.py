"""Storing raw mail, once per content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from archive.models import RawMail
from jobs.inserting import insert_missing


def store_raw(contents: Iterable[bytes]) -> dict[bytes, RawMail]:
    """Store each distinct content once and return its row by content.

    Runs inside the caller's transaction, so that a reference and what it refers to are committed together.
    Two transactions that store the same bytes at once meet on the unique index: the later one waits for the
    earlier, then finds its row.
    """
    rows = {content: _row(content) for content in dict.fromkeys(contents)}
    insert_missing(list(rows.values()), unique="sha256")
    return rows


def _row(content: bytes) -> RawMail:
    return RawMail(sha256=hashlib.sha256(content).digest(), size=len(content), content=content)
