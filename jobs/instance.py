"""A copy is not the original (product §12): a restored or cloned database stays quiet until confirmed."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils import timezone

from jobs.models import Instance


class UnconfirmedCopy(Exception):
    """This database was last run under another name or host; nothing may be polled, deleted or sent."""


def fingerprint() -> str:
    """Name of this installation and where its database lives."""
    database = settings.DATABASES["default"]
    host = database.get("HOST") or "local"
    port = database.get("PORT") or ""
    return (
        f"{settings.INSTANCE_NAME}|{database['ENGINE'].rsplit('.', 1)[-1]}|{host}:{port}/{database['NAME']}"
    )


def confirmed_fingerprint() -> str | None:
    """What the database was last confirmed as, or None when it was never run."""
    return Instance.objects.values_list("fingerprint", flat=True).first()


def is_original() -> bool:
    """Whether this installation may talk to mail servers. A fresh database adopts its first installation."""
    known = confirmed_fingerprint()
    if known is None:
        confirm(by="")
        return True
    return known == fingerprint()


def require_original() -> None:
    """Raise :class:`UnconfirmedCopy` where :func:`is_original` says no."""
    if not is_original():
        raise UnconfirmedCopy(fingerprint())


def confirm(*, by: str) -> None:
    """Adopt this database: an administrator says that the original no longer runs."""
    Instance.objects.update_or_create(
        pk=1, defaults={"fingerprint": fingerprint(), "confirmed_at": timezone.now(), "confirmed_by": by}
    )


def restored_at() -> datetime | None:
    """When a backup was last restored into this database, or None."""
    return Instance.objects.values_list("restored_at", flat=True).first()


def note_restore() -> None:
    """Remember that the database is a restored backup as of now."""
    Instance.objects.update(restored_at=timezone.now())
