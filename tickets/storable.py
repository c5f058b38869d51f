"""Text from strangers made fit for a database column (B4)."""

from __future__ import annotations


def storable(text: str, limit: int) -> str:
    """The text without NUL and lone surrogates, which PostgreSQL refuses, cut to ``limit`` characters."""
    cut = text[:limit]
    if cut.isascii():
        return cut.replace("\0", "")
    return cut.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
