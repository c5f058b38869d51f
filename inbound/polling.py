"""One poll of one account, from its lease to its health (architecture.md, "One incoming mail")."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta

from django.utils import timezone

from inbound import cleanup, discovery, exclusion, fetching, intake, pipeline
from inbound.models import IncomingMessage, Mailbox
from inbound.visit import Counts, Visit
from jobs import instance, leases
from jobs.instance import UnconfirmedCopy
from jobs.leases import HeldLease, LeaseLost
from mailaccounts import health
from mailaccounts.connections import open_imap
from mailaccounts.models import MailAccount
from mailkit.errors import MailboxUnavailable, MailError
from mailkit.imap import ImapSession

LEASE_TTL = timedelta(seconds=120)
CONTINUED_WITHIN = timedelta(seconds=90)
"""How long a poll whose slice ran out is left to the task that goes on with it, before a check finds it."""
SLICE_SECONDS = 25.0
DEFAULT_FOLDER = "INBOX"

ALREADY_POLLING = "already_polling"
SETTINGS_CHANGED = "settings_changed"
UNCONFIRMED_COPY = "unconfirmed_copy"
ON_HOLD = "account_on_hold"


@dataclass(slots=True)
class PollReport:
    """What one poll came to. ``error``: a stable code, "" for success; ``has_more``: the slice ran out."""

    new: int = 0
    imported: int = 0
    duplicate: int = 0
    excluded: int = 0
    bounce: int = 0
    quarantined: int = 0
    deleted: int = 0
    seconds: float = 0.0
    error: str = ""
    error_detail: str = ""
    has_more: bool = False

    def numbers(self) -> dict[str, int | float]:
        """What was counted, as JSON can hold it."""
        return {**{name: getattr(self, name) for name in asdict(Counts())}, "seconds": round(self.seconds, 1)}

    def take(self, counts: Counts) -> None:
        """Copy the counts of a visit."""
        for name, value in asdict(counts).items():
            setattr(self, name, value)


def poll(account_id: int, *, slice_seconds: float | None = SLICE_SECONDS) -> PollReport:
    """Poll the account once. Never raises for what a mail server does: that stands in the report and in its
    health.

    Ends by itself after ``slice_seconds`` (None: when everything is done). Only one poll of an account runs
    at a time; a second one comes back at once with ``already_polling``. Database errors are raised: the next
    poll goes on.
    """
    started = time.monotonic()
    report = PollReport()
    account = _read(account_id)
    report.error = _obstacle(account)
    if not report.error:
        with _lease(account) as lease:
            if lease is None:
                report.error = ALREADY_POLLING
            else:
                # Read again: settings saved just before the lease was taken have revoked nothing (R39).
                _poll_leased(_read(account_id), lease, slice_seconds, report)
    report.seconds = time.monotonic() - started
    return report


def _read(account_id: int) -> MailAccount:
    return MailAccount.objects.select_related("imap", "smtp").get(pk=account_id)


def _obstacle(account: MailAccount) -> str:
    if not instance.is_original():
        return UNCONFIRMED_COPY
    if account.is_retired:
        return "account_retired"
    if not hasattr(account, "imap"):
        return "imap_missing"
    return ON_HOLD if account.on_hold_since else ""


@contextmanager
def _lease(account: MailAccount) -> Iterator[HeldLease | None]:
    lease = leases.acquire(
        account.lease_name, ttl=LEASE_TTL, holder=f"{socket.gethostname()}:{os.getpid()}"[:100]
    )
    try:
        yield lease
    finally:
        if lease:
            leases.release(lease)


def _poll_leased(account: MailAccount, lease: HeldLease, seconds: float | None, report: PollReport) -> None:
    report.error = _obstacle(account)
    if report.error:
        return
    visit = Visit.begin(account, lease, seconds=seconds)
    try:
        error = _try_server(visit)
        _record(visit, error)
    except LeaseLost:
        report.error = SETTINGS_CHANGED
    except UnconfirmedCopy:
        report.error = UNCONFIRMED_COPY
    else:
        if error:
            report.error, report.error_detail = error.code, error.detail
    report.take(visit.counts)
    report.has_more = visit.has_more


def _try_server(visit: Visit) -> MailError | None:
    try:
        return _visit_server(visit)
    except MailError as error:
        return error


def _record(visit: Visit, error: MailError | None) -> None:
    """Note how the account is, unless settings saved since have made that untrue (R39). Raises LeaseLost."""
    backlog = 0 if error else _backlog(visit.account)
    with visit.fenced():
        if error:
            health.record_failure(visit.account.pk, error)
        else:
            _record_success(visit, backlog)


def _record_success(visit: Visit, backlog: int) -> None:
    pause = CONTINUED_WITHIN if visit.has_more else timedelta(seconds=visit.account.imap.poll_seconds)
    health.record_success(
        visit.account.pk,
        next_poll_at=timezone.now() + pause,
        backlog=backlog,
        warning_code=visit.warning,
    )


def _backlog(account: MailAccount) -> int:
    waiting = IncomingMessage.objects.filter(account=account, state__in=IncomingMessage.UNFINISHED).count()
    return waiting + sum(account.mailboxes.values_list("undiscovered", flat=True))


def _visit_server(visit: Visit) -> MailboxUnavailable | None:
    """Poll every folder; one that is unavailable does not keep the others from being polled."""
    failure = None
    mailboxes = _mailboxes(visit)
    # Of folders that are polled no longer, too: their bytes are ours, nobody else would finish them.
    for mailbox in visit.account.mailboxes.all():
        _finish_stored(visit, mailbox)
        if mailbox not in mailboxes:
            visit.counts.excluded += exclusion.leave_folder(visit, mailbox)
    with open_imap(visit.account) as session:
        for mailbox in mailboxes:
            try:
                _visit_folder(visit, session, mailbox)
            except MailboxUnavailable as error:
                failure = failure or error
            if visit.is_over():
                break
    return failure


def _mailboxes(visit: Visit) -> list[Mailbox]:
    """The account's folders, least recently visited first, so that a full one does not starve the others."""
    names = list(dict.fromkeys(visit.account.imap.folders)) or [DEFAULT_FOLDER]
    known = {mailbox.name: mailbox for mailbox in visit.account.mailboxes.filter(name__in=names)}
    if len(known) < len(names):
        missing = [Mailbox(account=visit.account, name=name) for name in names if name not in known]
        with visit.fenced():
            Mailbox.objects.bulk_create(missing)
        known |= {mailbox.name: mailbox for mailbox in missing}
    return sorted(known.values(), key=lambda mailbox: (mailbox.seen_at is not None, mailbox.seen_at or 0))


def _visit_folder(visit: Visit, session: ImapSession, mailbox: Mailbox) -> None:
    if mailbox.seen_at is None:
        exclusion.return_to_folder(visit, mailbox)
    visit.counts.excluded += exclusion.exclude_waiting(visit, mailbox)
    found = discovery.look(visit, session, mailbox)
    _fetch_seen(visit, session, mailbox)
    for uids in discovery.chunks(found):
        if visit.is_over():
            return
        discovery.enter(visit, session, mailbox, uids)
        _fetch_seen(visit, session, mailbox)
    if visit.is_over():
        return
    _clean_up(visit, session, mailbox)
    if mailbox.is_unfinished and not visit.is_over():
        with visit.fenced():
            mailbox.is_unfinished = False
            mailbox.save(update_fields=["is_unfinished"])


def _finish_stored(visit: Visit, mailbox: Mailbox) -> None:
    while not visit.is_over() and (mails := intake.left_over(mailbox)):
        pipeline.process(visit, mails)


def _fetch_seen(visit: Visit, session: ImapSession, mailbox: Mailbox) -> None:
    while not visit.is_over() and (rows := fetching.next_batch(visit, mailbox)):
        with _garbage_kept():
            _take(visit, fetching.fetch(visit, session, rows))


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """No collecting during a batch: its garbage is bounded, the collector costs a sixth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _take(visit: Visit, mails: Sequence[fetching.FetchedMail]) -> None:
    if mails:
        intake.store(visit, mails)
        pipeline.process(visit, mails)


def _clean_up(visit: Visit, session: ImapSession, mailbox: Mailbox) -> None:
    """A folder that cannot be written to is a warning: its mail has been imported all the same (R15, R18)."""
    try:
        cleanup.delete_on_server(visit, session, mailbox)
    except MailboxUnavailable as error:
        visit.warning = error.code
