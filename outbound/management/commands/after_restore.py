"""What must happen once after restoring a backup, before anything runs again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from jobs import instance, leases
from jobs.models import Lease
from outbound import claims, throttling
from outbound.models import DeliveryThrottle, OutgoingMessage


class Command(BaseCommand):
    """``after_restore``: unfinished mail becomes uncertain, leases and throttles reset. Safe to repeat."""

    help = "Run once after restoring a backup: unfinished mail becomes uncertain, leases are reset."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """The original went on after the backup was made: what waits in it may have been sent since."""
        uncertain = claims.leave_uncertain(OutgoingMessage.objects.unfinished())
        leases.revoke(Lease.objects.values_list("name", flat=True))
        instance.note_restore()
        throttling.clear(list(DeliveryThrottle.objects.values_list("account", flat=True)))
        self.stdout.write(f"{uncertain} unfinished mails are uncertain now; decide about them in the outbox.")
        self.stdout.write(
            "Leases are reset. Confirm this installation in the browser before it polls and sends."
        )
