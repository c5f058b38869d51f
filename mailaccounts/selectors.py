"""Reading accounts: which address is whose."""

from __future__ import annotations

from django.db.models import Q

from mailaccounts.models import FurtherSender, MailAccount, SmtpSettings


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
