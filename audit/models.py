"""The record of changes: append-only, and the seals that show whether it stayed so."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.db import models


class AppendOnlyError(TypeError):
    """Somebody's code tried to change or remove what was recorded; a programming error."""


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    """Adds rows and reads them; nothing else."""

    def update(self, **_kwargs: Any) -> NoReturn:
        """Refused."""
        raise AppendOnlyError("Audit entries are never changed")

    def delete(self) -> NoReturn:
        """Refused."""
        raise AppendOnlyError("Audit entries are never deleted")

    def bulk_update(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refused."""
        raise AppendOnlyError("Audit entries are never changed")


class AuditEntry(models.Model):
    """Who did what to which object, when, from where. Secrets appear as "changed" only.

    ``actor_label`` keeps the name when the user's row is gone; only then does the database clear ``actor``.
    """

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_label = models.CharField(max_length=200)
    ip = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=100)
    object_id = models.CharField(max_length=64, blank=True)
    object_label = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=dict)
    reason = models.TextField(blank=True)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"]),
            models.Index(fields=["actor_label", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Append; a stored entry is never written again (AppendOnlyError)."""
        if not self._state.adding:
            raise AppendOnlyError("Audit entries are never changed")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refused."""
        raise AppendOnlyError("Audit entries are never deleted")


class AuditSeal(models.Model):
    """One link of the chain over the entries: see :mod:`audit.chain`.

    ``entry_id`` is a number, no foreign key: the seal of an entry that somebody removed has to remain.
    """

    entry_id = models.BigIntegerField(primary_key=True)
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.entry_id}:{self.digest}"
