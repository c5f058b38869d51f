"""Which accounts have news: STATUS of many mailboxes at once, in threads that never touch the database."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
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

State = IncomingMessage.State

THREADS = 50
LIMIT = 100
CLAIM = timedelta(seconds=90)
"""How long a claimed account is left alone by other checks: longer than the slowest server may take, and as
long as the poll it wakes may wait for a worker.
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What one thread needs to look at one account: how to connect, and what is known of its folders."""

    account: MailAccount
    access: ImapAccess
    mailboxes: Sequence[Mailbox]
    has_work: bool


def check_due(
    on_news: Callable[[int], None],
    *,
    failing: bool | None = None,
    on_backlog: Callable[[int], None] | None = None,
    on_more: Callable[[], None] = lambda: None,
) -> int:
    """Ask the servers of due accounts whether anything changed; call ``on_news`` with each account that has
    news.

    An account is reported as soon as its own server has answered, so a silent one delays nobody (R12).
    ``failing`` keeps to accounts that failed last, or to the others: servers known to be slow or dead are
    asked apart. An account known to have work left over goes to ``on_backlog``, where given, without being
    asked. ``on_more`` is called, before any server is asked, when more accounts may be due than one check
    takes. Returns how many accounts were looked at.
    """
    accounts = _claim(failing)
    if len(accounts) == LIMIT:
        on_more()
    with_work = _accounts_with_work(accounts)
    looks = [look for account in accounts if (look := _prepare(account, with_work))]
    for look in looks:
        if look.has_work:
            (on_backlog or on_news)(look.account.pk)
    for look, result in _ask_all([look for look in looks if not look.has_work]):
        _settle(look, result, on_news)
    return len(looks)


def _claim(failing: bool | None = None) -> list[MailAccount]:
    """Take due accounts for this check, so that a second beat or worker finds none of them (R9)."""
    due = health.due_account_ids(LIMIT, failing=failing)
    AccountHealth.objects.bulk_create([AccountHealth(account_id=pk) for pk in due], ignore_conflicts=True)
    now = timezone.now()
    # The moment is the name of this claim: what carries it afterwards is ours.
    claim = now + CLAIM + timedelta(microseconds=secrets.randbelow(1_000_000))
    is_due = Q(next_poll_at__isnull=True) | Q(next_poll_at__lte=now)
    AccountHealth.objects.filter(is_due, account_id__in=due).update(next_poll_at=claim)
    claimed = AccountHealth.objects.filter(account_id__in=due, next_poll_at=claim)
    longest_waiting = claimed.order_by(F("last_attempt_at").asc(nulls_first=True))
    ids = list(longest_waiting.values_list("account_id", flat=True))
    accounts = MailAccount.objects.select_related("imap", "health").prefetch_related("mailboxes").in_bulk(ids)
    return [accounts[pk] for pk in ids]


def _accounts_with_work(accounts: Sequence[MailAccount]) -> set[int]:
    """Accounts with messages found but not imported, or deletions not finished."""
    mine = IncomingMessage.objects.filter(account__in=accounts)
    unfinished = mine.filter(state__in=IncomingMessage.UNFINISHED).values_list("account_id")
    # Begun, and still wanted: what was begun before the switch was set off again stays as it is.
    deleting = mine.filter(
        state=State.IMPORTED,
        server_copy=IncomingMessage.ServerCopy.DELETING,
        account__ticket_options__is_enabled=True,
        account__ticket_options__deletes_on_server=True,
    )
    return {pk for (pk,) in unfinished.union(deleting.values_list("account_id"))}


def _prepare(account: MailAccount, with_work: Collection[int] = ()) -> Look | None:
    try:
        access = imap_access(account)
    except MailError as error:
        health.record_failure(account.pk, error, claim=account.health.next_poll_at)
        return None
    mailboxes = list(account.mailboxes.all())
    has_work = account.pk in with_work or _has_unknown(account, mailboxes)
    return Look(account, access, mailboxes, has_work=has_work)


def _has_unknown(account: MailAccount, mailboxes: Sequence[Mailbox]) -> bool:
    """Whether folders were never looked at, or not to their end: polled whatever the server says."""
    wanted = set(account.imap.folders or [DEFAULT_FOLDER])
    never_seen = wanted - {mailbox.name for mailbox in mailboxes if mailbox.seen_at}
    return bool(never_seen) or any(mailbox.undiscovered for mailbox in mailboxes)


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
    claim = look.account.health.next_poll_at
    if isinstance(result, MailError):
        health.record_failure(look.account.pk, result, claim=claim)
    elif result:
        on_news(look.account.pk)
    else:
        pause = timedelta(seconds=look.account.imap.poll_seconds)
        warning = look.account.health.warning_code
        health.record_success(
            look.account.pk, next_poll_at=timezone.now() + pause, warning_code=warning, claim=claim
        )
