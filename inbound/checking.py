"""Which accounts have news: STATUS of many mailboxes at once, in threads that never touch the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from inbound import discovery
from inbound.models import IncomingMessage, Mailbox
from inbound.polling import DEFAULT_FOLDER
from mailaccounts import health
from mailaccounts.connections import ImapAccess, imap_access
from mailaccounts.models import AccountHealth, MailAccount
from mailkit.errors import MailError

THREADS = 50
LIMIT = 100
CLAIM = timedelta(seconds=90)
"""How long a claimed account is left alone by other checks: longer than the slowest server may take."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one thread needs to look at one account: how to connect, and what is known of its folders."""

    account: MailAccount
    access: ImapAccess
    mailboxes: Sequence[Mailbox]
    has_work: bool


def check_due(on_news: Callable[[int], None]) -> int:
    """Ask the servers of due accounts whether anything changed; call ``on_news`` with each account that has
    news.

    An account is reported as soon as its own server has answered, so a silent one delays nobody (R12).
    Returns how many accounts were looked at.
    """
    looks = [look for account in _claim() if (look := _prepare(account))]
    with_work = [look for look in looks if look.has_work]
    for look in with_work:
        on_news(look.account.pk)
    idle = [look for look in looks if not look.has_work]
    for look, result in _ask_all(idle):
        _settle(look, result, on_news)
    return len(looks)


def _claim() -> list[MailAccount]:
    """Take due accounts for this check, so that a second beat or worker finds none of them (R9)."""
    due = health.due_account_ids(LIMIT)
    AccountHealth.objects.bulk_create([AccountHealth(account_id=pk) for pk in due], ignore_conflicts=True)
    now = timezone.now()
    is_due = Q(next_poll_at__isnull=True) | Q(next_poll_at__lte=now)
    claimed = [
        pk
        for pk in due
        if AccountHealth.objects.filter(is_due, account_id=pk).update(next_poll_at=now + CLAIM)
    ]
    accounts = MailAccount.objects.filter(pk__in=claimed).select_related("imap", "health")
    return list(
        accounts.prefetch_related("mailboxes").order_by(F("health__last_attempt_at").asc(nulls_first=True))
    )


def _prepare(account: MailAccount) -> Look | None:
    try:
        access = imap_access(account)
    except MailError as error:
        health.record_failure(account.pk, error)
        return None
    mailboxes = list(account.mailboxes.all())
    return Look(account, access, mailboxes, has_work=_has_work(account, mailboxes))


def _has_work(account: MailAccount, mailboxes: Sequence[Mailbox]) -> bool:
    """Whether the account must be polled whatever the server says: work left over, or folders never looked
    at.
    """
    wanted = set(account.imap.folders or [DEFAULT_FOLDER])
    if wanted - {mailbox.name for mailbox in mailboxes if mailbox.seen_at}:
        return True
    if any(mailbox.undiscovered for mailbox in mailboxes):
        return True
    unfinished = Q(state__in=IncomingMessage.UNFINISHED) | Q(server_copy=IncomingMessage.ServerCopy.DELETING)
    return IncomingMessage.objects.filter(unfinished, mailbox__in=mailboxes).exists()


def _ask_all(looks: Sequence[Look]) -> Iterator[tuple[Look, bool | MailError]]:
    if not looks:
        return
    with ThreadPoolExecutor(max_workers=min(THREADS, len(looks)), thread_name_prefix="check") as pool:
        asked = {pool.submit(_ask, look): look for look in looks}
        for future in as_completed(asked):
            yield asked[future], future.result()


def _ask(look: Look) -> bool | MailError:
    """Whether the account has news. Runs in a thread: no database in here."""
    wanted = look.account.imap.folders or [DEFAULT_FOLDER]
    try:
        with look.access.open() as session:
            return any(
                not discovery.is_unchanged(mailbox, session.status(mailbox.name))
                for mailbox in look.mailboxes
                if mailbox.name in wanted
            )
    except MailError as error:
        return error


def _settle(look: Look, result: bool | MailError, on_news: Callable[[int], None]) -> None:
    if isinstance(result, MailError):
        health.record_failure(look.account.pk, result)
    elif result:
        on_news(look.account.pk)
    else:
        pause = timedelta(seconds=look.account.imap.poll_seconds)
        warning = look.account.health.warning_code
        health.record_success(look.account.pk, next_poll_at=timezone.now() + pause, warning_code=warning)
