"""Accounts as the benchmarks need them, in the database of the environment."""

from __future__ import annotations

from django.utils import timezone

from inbound.models import AutoresponderOptions
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from mailaccounts.services import store_imap_password
from tickets.models import Queue, TicketOptions


def add_account(name: str, *, port: int, username: str, password: str, security: str) -> MailAccount:
    """An account that makes tickets of the INBOX on localhost; ``security`` as in ``ImapSettings``."""
    account = MailAccount.objects.create(display_name=name, email=f"{name}@erp.example")
    imap = ImapSettings(
        account=account,
        host="localhost",
        port=port,
        security=security,
        username=username,
        folders=["INBOX"],
    )
    store_imap_password(imap, password)
    imap.save()
    queue, _ = Queue.objects.get_or_create(name="Support")
    TicketOptions.objects.create(account=account, is_enabled=True, default_queue=queue)
    return account


def answer_automatically(account: MailAccount) -> None:
    """Let the account decide about, and queue, an automatic answer to every mail."""
    SmtpSettings.objects.create(
        account=account, is_enabled=True, host="localhost", port=25, security="none", authentication="none"
    )
    AutoresponderOptions.objects.create(
        account=account,
        is_enabled=True,
        enabled_at=timezone.now(),
        subject="{TICKET}",
        html="<p>{BETREFF}</p>",
    )
