"""Storing raw mail, once per content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from archive.models import RawMail
from jobs.inserting import insert_rows


def store_raw(contents: Iterable[bytes]) -> dict[bytes, RawMail]:
    """Store each distinct content once and return its row (without bytes) by SHA-256 digest.

    Runs inside the caller's transaction, so that a reference and what it refers to are committed together.
    Two transactions that store the same bytes at once meet on the unique index: the later one waits for the
    earlier, then finds its row.
    """
    by_digest = {hashlib.sha256(content).digest(): content for content in contents}
    if not by_digest:
        return {}
    known = _rows(by_digest)
    missing = [
        RawMail(sha256=digest, size=len(content), content=content)
        for digest, content in by_digest.items()
        if digest not in known
    ]
    if missing:
        insert_rows(missing, ignore_conflicts=True)
        known = _rows(by_digest)
    return known


def _rows(digests: Iterable[bytes]) -> dict[bytes, RawMail]:
    rows = RawMail.objects.metadata().filter(sha256__in=list(digests))
    return {bytes(row.sha256): row for row in rows}
