"""The queue of mail whose account names none."""

from __future__ import annotations

from django.utils.translation import gettext as _

from tickets.models import Queue


def fallback_queue_id() -> int:
    """The oldest active queue; one is made where there is none, as mail without a queue is lost to view."""
    active = Queue.objects.filter(is_active=True).order_by("pk").values_list("pk", flat=True).first()
    if active is not None:
        return active
    return Queue.objects.get_or_create(name=_("Inbox"), defaults={"is_active": True})[0].pk
