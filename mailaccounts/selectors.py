"""Reading accounts: which address is whose."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet

from mailaccounts.models import FurtherSender, MailAccount, MailAccountEmployee, OAuthToken, SmtpSettings
from masterdata.models import Employee, Substitution


def account_for_address(address: str) -> MailAccount | None:
    """The active account that ``address`` belongs to: by its e-mail, else by its Sender E-Mailadresse.

    Its display name, Sent copy, archive and rights apply to mail from that address, whoever carries it
    (product §3).
    """
    accounts = MailAccount.objects.active().select_related("imap", "smtp")
    by_email = accounts.filter(email__iexact=address).first()
    return by_email or accounts.filter(smtp__sender_address__iexact=address).order_by("pk").first()


def own_addresses(account: MailAccount) -> frozenset[str]:
    """Addresses that are the account itself, in lower case: e-mail, Sender E-Mailadresse, weitere Absender.

    Domain patterns among the further senders name no address and are left out.
    """
    return _addresses(Q(account=account), Q(pk=account.pk))


def all_own_addresses() -> frozenset[str]:
    """Addresses of all accounts in lower case, retired ones too: mail from them is never a customer's."""
    return _addresses(Q(), Q())


def polled_accounts() -> QuerySet[MailAccount]:
    """Accounts that polling is meant to reach: not retired, not on hold, with IMAP settings."""
    return MailAccount.objects.active().filter(imap__isnull=False, on_hold_since__isnull=True)


def accounts_in_trouble(*, failing_before: datetime, silent_since: datetime) -> QuerySet[MailAccount]:
    """Polled accounts that are paused, have failed since before ``failing_before``, or have had no success
    since ``silent_since`` though nothing failed; with ``imap`` and ``health`` selected.
    """
    paused = Q(health__is_paused=True, health__failing_since__isnull=False)
    failing = Q(health__failing_since__lte=failing_before)
    never = Q(health__last_success_at__isnull=True, created_at__lt=silent_since)
    silent = Q(health__failing_since__isnull=True) & (Q(health__last_success_at__lt=silent_since) | never)
    return polled_accounts().filter(paused | failing | silent).select_related("imap", "health")


def active_tokens() -> QuerySet[OAuthToken]:
    """OAuth tokens that accounts in use live on; those to be connected anew are their accounts' trouble."""
    return OAuthToken.objects.filter(state=OAuthToken.State.ACTIVE, account__in=polled_accounts())


def employees_of(account_ids: Collection[int]) -> dict[int, list[Employee]]:
    """Who sees these personal accounts today: their employees and running substitutes, with user and
    address selected.
    """
    links = MailAccountEmployee.objects.filter(
        account__in=account_ids, account__kind=MailAccount.Kind.PERSONAL
    ).values_list("account_id", "employee_id")
    linked = list(links)
    substituted = Substitution.objects.running().filter(employee__in={employee for _, employee in linked})
    acting: dict[int, set[int]] = {employee: {employee} for _, employee in linked}
    for employee_id, substitute_id in substituted.values_list("employee", "substitute"):
        acting[employee_id].add(substitute_id)
    wanted = set().union(*acting.values()) if acting else set()
    employees = Employee.objects.select_related("user", "address").in_bulk(wanted)
    found: dict[int, list[Employee]] = {}
    for account_id, employee_id in linked:
        found.setdefault(account_id, []).extend(employees[pk] for pk in sorted(acting[employee_id]))
    return found


def _addresses(of_account: Q, account: Q) -> frozenset[str]:
    emails = MailAccount.objects.filter(account).values_list("email", flat=True)
    senders = (
        SmtpSettings.objects.filter(of_account)
        .exclude(sender_address="")
        .values_list("sender_address", flat=True)
    )
    further = (
        FurtherSender.objects.filter(of_account)
        .exclude(pattern__startswith="@")
        .values_list("pattern", flat=True)
    )
    return frozenset(address.lower() for address in (*emails, *senders, *further))
