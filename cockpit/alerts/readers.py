"""Who is told by mail, in which language: administrators of everything, owners of their own accounts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q

from cockpit.models import Alert
from mailaccounts.selectors import employees_of
from mailkit.addresses import normalise
from masterdata import roles
from masterdata.models import Employee


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with an address. ``account_ids`` None: hears of everything."""

    address: str
    language: str
    account_ids: frozenset[int] | None = None

    def concerns(self, alert: Alert) -> bool:
        """Whether the alert is for this reader."""
        if self.account_ids is None:
            return True
        return alert.account_id in self.account_ids and alert.kind in Alert.OWNER_KINDS


def readers_of(alerts: Collection[Alert]) -> list[Reader]:
    """Everybody one of ``alerts`` concerns, each address once."""
    found: dict[str, Reader] = {}
    for reader in (*_administrators(), *_configured(), *_owners(alerts)):
        found.setdefault(normalise(reader.address), reader)
    return [reader for reader in found.values() if any(map(reader.concerns, alerts))]


def _administrators() -> Iterator[Reader]:
    may = Q(groups__name=roles.MAIL_ADMINISTRATOR) | Q(is_superuser=True)
    users = User.objects.filter(may, is_active=True).distinct().order_by("pk")
    for user in users.select_related("employee__address"):
        employee = getattr(user, "employee", None)
        if address := _address(user, employee):
            yield Reader(address, _language(employee))


def _configured() -> Iterator[Reader]:
    for address in settings.ALERT_RECIPIENTS:
        yield Reader(address, settings.LANGUAGE_CODE)


def _owners(alerts: Collection[Alert]) -> list[Reader]:
    concerned = {alert.account_id for alert in alerts if alert.account_id and alert.kind in Alert.OWNER_KINDS}
    accounts: dict[str, set[int]] = {}
    languages: dict[str, str] = {}
    for account_id, employees in employees_of(concerned).items():
        for employee in employees:
            address = _address(employee.user, employee)
            if address and (employee.user is None or employee.user.is_active):
                accounts.setdefault(address, set()).add(account_id)
                languages[address] = _language(employee)
    return [Reader(address, languages[address], frozenset(ids)) for address, ids in accounts.items()]


def _address(user: User | None, employee: Employee | None) -> str:
    of_employee = (employee.email or employee.address.email) if employee else ""
    return (user.email if user else "") or of_employee


def _language(employee: Employee | None) -> str:
    return employee.address.language if employee else settings.LANGUAGE_CODE
