"""Leases with fencing, heartbeats of processes, and the identity this database was last run under."""

from django.db import models


class Lease(models.Model):
    """The right to work on one named thing until ``expires_at``; ``epoch`` fences off earlier holders."""

    name = models.CharField(max_length=100, primary_key=True)
    epoch = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=100, blank=True)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name}@{self.epoch}"


class Heartbeat(models.Model):
    """The last sign of life of a kind of process (``worker``, ``beat``)."""

    name = models.CharField(max_length=50, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Instance(models.Model):
    """One row: the name and database host that an administrator confirmed for this data (product §12)."""

    fingerprint = models.CharField(max_length=500)
    confirmed_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=200, blank=True)
    # The last time a backup was restored: what servers received before may have been answered already.
    restored_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.fingerprint
