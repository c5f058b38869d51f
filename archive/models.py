"""Raw mail: one row per distinct content, written before anything refers to it."""

from __future__ import annotations

import hashlib

from django.db import models


class RawMailQuerySet(models.QuerySet["RawMail"]):
    """Chainable filters."""

    def metadata(self) -> RawMailQuerySet:
        """Everything but the bytes."""
        return self.defer("content")


class RawMail(models.Model):
    """The bytes of one mail exactly as a server gave them or as we sent them."""

    sha256 = models.BinaryField(max_length=32, unique=True)
    size = models.PositiveIntegerField()
    content = models.BinaryField()
    stored_at = models.DateTimeField(auto_now_add=True)

    objects = RawMailQuerySet.as_manager()

    def __str__(self) -> str:
        return bytes(self.sha256).hex()

    @property
    def content_bytes(self) -> bytes:
        """The mail; psycopg hands out memoryview, SQLite bytes."""
        return bytes(self.content)

    def verifies(self) -> bool:
        """Whether the stored bytes still hash to ``sha256``."""
        return hashlib.sha256(self.content_bytes).digest() == bytes(self.sha256)
