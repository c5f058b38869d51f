"""Say which account sends for an address, and by which rule."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailaccounts.models import MailAccount
from outbound.routing import carrier_of, explain, owner_of
from outbound.selectors import NoTransport, routes_for


class Command(BaseCommand):
    """``explain_sender ADDRESS``: transporting account, the rule that chose it, whose address it is."""

    help = "Explains which account transports mail from ADDRESS, and whose name and Sent copy it gets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", help="the From address")

    def handle(self, *_args: Any, **options: Any) -> None:
        address = options["address"]
        routes = routes_for([address])
        names = dict(
            MailAccount.objects.filter(pk__in=[r.account_id for r in routes]).values_list(
                "pk", "display_name"
            )
        )
        owner = owner_of(address, routes)
        own = (
            f"{names[owner.account_id]} ({owner.email})"
            if owner
            else "no account; name, Sent copy and rights follow nobody"
        )
        self.stdout.write(f"address of:     {own}")
        carrier = carrier_of(address, routes)
        if carrier is None:
            raise CommandError(str(NoTransport(address)))
        self.stdout.write(f"transported by: {names[carrier.account_id]} ({carrier.email})")
        self.stdout.write(f"because:        {explain(address, carrier)}")
        self.stdout.write(f"Sent copy:      {'yes' if owner and owner.copies_sent else 'no'}")
