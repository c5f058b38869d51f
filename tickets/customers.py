"""Whose mail it is: addresses matched with master data."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F, IntegerField, Q, Value
from django.db.models.functions import Lower

from mailkit.addresses import normalise
from masterdata.models import Address, ContactPerson

# A colleague's own address record makes nobody a customer.
_ONLY_EMPLOYEE = Q(is_employee=True, is_customer=False, is_supplier=False)


def match_customers(addresses: Iterable[str]) -> dict[str, int]:
    """Ids of master data addresses by normalised e-mail address, in one query.

    An address's own e-mail counts before a contact person's, the older record before the younger.
    """
    wanted = {form for address in addresses for form in (address.lower(), normalise(address))}
    if not wanted:
        return {}
    found: dict[str, int] = {}
    for email, _rank, address_id in sorted(_by_email(wanted), key=lambda row: row[1:]):
        found.setdefault(normalise(email), address_id)
    return found


def _by_email(wanted: set[str]) -> Iterable[tuple[str, int, int]]:
    addresses = (
        Address.objects.exclude(_ONLY_EMPLOYEE)
        .annotate(key=Lower("email"), rank=Value(0, IntegerField()), found=F("pk"))
        .filter(key__in=wanted)
    )
    contacts = ContactPerson.objects.annotate(
        key=Lower("email"), rank=Value(1, IntegerField()), found=F("address_id")
    ).filter(key__in=wanted)
    columns = ("key", "rank", "found")
    return addresses.order_by().values_list(*columns).union(contacts.order_by().values_list(*columns))
