"""Which accounts have news: STATUS of many mailboxes at once, in threads that never touch the database."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from inbound import discovery
from inbound.models import IncomingMessage, Mailbox
from inbound.polling import DEFAULT_FOLDER
from jobs import draining, leases
from mailaccounts import health
from mailaccounts.connections import ImapAccess, imap_access
from mailaccounts.models import AccountHealth, MailAccount
from mailkit.errors import MailError

State = IncomingMessage.State

THREADS = 100
SLICE_SECONDS = 25.0
"""How long one check goes on taking what becomes due."""
LOOK_AGAIN_SECONDS = 1.0
"""How often it looks for more while servers keep it waiting."""
FAILING_LEASE = "check-failing"
FAILING_LEASE_TTL = timedelta(seconds=120)
TOGETHER_SECONDS = 0.1
"""Answers of so long are recorded together."""
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
) -> int:
    """Ask the servers of due accounts whether anything changed; call ``on_news`` with each account that has
    news.

    An account is reported as soon as its own server has answered, so a silent one delays nobody (R12): while
    it is waited for, accounts that become due are taken as well, for :data:`SLICE_SECONDS`. ``failing`` keeps
    to accounts that failed last, or to the others: servers known to be slow or dead are asked apart. An
    account known to have work left over goes to ``on_backlog``, where given, without being asked; one that
    failed last is asked first, as its poll would hold up a worker of its own. Returns how many accounts were
    looked at.
    """
    ends_at = time.monotonic() + SLICE_SECONDS
    looks_at, more_are_due, looked = 0.0, True, 0
    asked: dict[Future[bool | MailError], Look] = {}
    pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="check")
    try:
        while not draining.has_begun():
            now, free = time.monotonic(), THREADS - len(asked)
            has_room = free >= THREADS // 2
            if now < ends_at and free > 0 and (now >= looks_at or (more_are_due and has_room)):
                # While most threads are free, some accounts may wait for one: claims cost more than they do.
                room = free + THREADS if has_room else free
                accounts = _claim(room, failing)
                more_are_due, looks_at = len(accounts) == room, now + LOOK_AGAIN_SECONDS
                looks = _prepare_all(accounts)
                looked += len(looks)
                for look in looks:
                    if look.has_work and look.account.health.failing_since is None:
                        (on_backlog or on_news)(look.account.pk)
                    else:
                        asked[pool.submit(_ask, look)] = look
            if not asked and (not more_are_due or now >= ends_at):
                break
            _settle_all([(asked.pop(one), one.result()) for one in _answered(asked)], on_news)
    finally:
        # A worker that is to stop waits for no server (R42): who has not answered is asked again by another.
        pool.shutdown(wait=not draining.has_begun(), cancel_futures=True)
    return looked


def check_failing(on_news: Callable[[int], None], *, on_backlog: Callable[[int], None] | None = None) -> int:
    """The same for accounts that failed last. One such check at a time: dead servers hold up one worker."""
    lease = leases.acquire(FAILING_LEASE, ttl=FAILING_LEASE_TTL)
    if lease is None:
        return 0
    try:
        return check_due(on_news, failing=True, on_backlog=on_backlog)
    finally:
        leases.release(lease)


def _claim(limit: int = THREADS, failing: bool | None = None) -> list[MailAccount]:
    """Take due accounts for this check, so that a second beat or worker finds none of them (R9)."""
    due = health.due_account_ids(limit, failing=failing)
    if not due:
        return []
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
    return [accounts[pk] for pk in ids if pk in accounts]  # one may have been deleted just now


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


def _prepare_all(accounts: Sequence[MailAccount]) -> list[Look]:
    with_work = _accounts_with_work(accounts)
    return [look for account in accounts if (look := _prepare(account, with_work))]


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
    return bool(never_seen) or any(mailbox.undiscovered or mailbox.is_unfinished for mailbox in mailboxes)


def _answered(asked: Mapping[Future[bool | MailError], Look]) -> set[Future[bool | MailError]]:
    """What has been answered, after waiting a little: answers of a tenth of a second come together."""
    return wait(asked, timeout=TOGETHER_SECONDS).done


def _ask(look: Look) -> bool | MailError:
    """Whether the account has news. Runs in a thread: no database in here."""
    wanted = look.account.imap.folders or [DEFAULT_FOLDER]
    try:
        with look.access.open() as session:
            return look.has_work or any(
                not discovery.is_unchanged(mailbox, session.status(mailbox.name))
                for mailbox in look.mailboxes
                if mailbox.name in wanted
            )
    except MailError as error:
        return error


def _settle_all(answers: Sequence[tuple[Look, bool | MailError]], on_news: Callable[[int], None]) -> None:
    """Pass on news, record failures, and record together who has no news."""
    for look, result in answers:
        if isinstance(result, MailError):
            health.record_failure(look.account.pk, result, claim=look.account.health.next_poll_at)
        elif result:
            on_news(look.account.pk)
    _settle_unchanged([look for look, result in answers if result is False])


def _settle_unchanged(looks: Sequence[Look]) -> None:
    """One statement for accounts of one claim and pause; one that has recovered is told by itself."""
    alike: defaultdict[tuple[datetime | None, int], list[int]] = defaultdict(list)
    now = timezone.now()
    for look in looks:
        account, seconds = look.account, look.account.imap.poll_seconds
        if account.health.failing_since is None:
            alike[account.health.next_poll_at, seconds].append(account.pk)
        else:
            health.record_success(
                account.pk,
                next_poll_at=now + timedelta(seconds=seconds),
                warning_code=account.health.warning_code,
                claim=account.health.next_poll_at,
            )
    for (claim, seconds), ids in alike.items():
        health.record_unchanged(ids, next_poll_at=now + timedelta(seconds=seconds), claim=claim)
