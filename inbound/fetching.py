"""Reading messages off the server in small batches, without changing a flag (BODY.PEEK[])."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils import timezone

from inbound.models import IncomingMessage, Mailbox
from inbound.reasons import Reason
from inbound.visit import Visit
from jobs import failpoints, leases
from jobs.bulk import update_rows
from mailkit.errors import MailboxUnavailable, ProtocolViolation
from mailkit.imap import ImapSession

State, ServerCopy = IncomingMessage.State, IncomingMessage.ServerCopy

BATCH_MESSAGES = 50
BATCH_BYTES = 8 * 1024 * 1024
MAX_ATTEMPTS = 5


@dataclass(slots=True)
class FetchedMail:
    """A row of the ledger and the bytes of its message."""

    row: IncomingMessage
    content: bytes = field(repr=False)


def next_batch(visit: Visit, mailbox: Mailbox) -> list[IncomingMessage]:
    """The next rows to fetch: at most 50 and 8 MB, but always one; a row that failed before goes alone."""
    rows = IncomingMessage.objects.filter(
        mailbox=mailbox, uid_validity=mailbox.uid_validity, state=State.SEEN
    )
    rows = rows.exclude(pk__in=visit.refused).order_by("id")
    batch: list[IncomingMessage] = []
    size = 0
    for row in rows[:BATCH_MESSAGES]:
        size += row.size
        if batch and (size > BATCH_BYTES or row.attempts or batch[0].attempts):
            break
        batch.append(row)
    return batch


def fetch(visit: Visit, session: ImapSession, rows: Sequence[IncomingMessage]) -> list[FetchedMail]:
    """Fetch the messages of ``rows`` from the examined folder; what has vanished is noted as such (R17).

    A message that the server refuses, or whose answer breaks the protocol, is tried alone next time and
    comes to quarantine after five attempts, so that it never holds up the others. Raises ConnectionFailed
    and LeaseLost.
    """
    leases.renew_for_transfer(visit.lease, sum(row.size for row in rows))
    failpoints.reached("before_fetch")
    try:
        contents = _contents(session, rows)
    except MailboxUnavailable as error:
        _note_refusal(visit, rows, error.detail)
        return []
    except ProtocolViolation as error:
        _note_refusal(visit, rows, error.detail)
        raise
    missing = [row for row in rows if row.uid not in contents]
    if missing:
        _settle_missing(visit, session, missing)
    return [FetchedMail(row, contents[row.uid]) for row in rows if row.uid in contents]


def _contents(session: ImapSession, rows: Sequence[IncomingMessage]) -> dict[int, bytes]:
    sizes = {row.uid: row.size for row in rows}
    return {message.uid: message.content for message in session.fetch_raw(list(sizes), sizes)}


def _settle_missing(visit: Visit, session: ImapSession, rows: Sequence[IncomingMessage]) -> None:
    """Tell messages that are gone from messages that the server merely did not hand out."""
    still_there = {message.uid for message in session.fetch_metadata([row.uid for row in rows])}
    refused = [row for row in rows if row.uid in still_there]
    vanished = [row for row in rows if row.uid not in still_there]
    if refused:
        _note_refusal(visit, refused, "no content in the answer")
    for row in vanished:
        row.state, row.reason, row.server_copy = State.VANISHED, Reason.REMOVED, ServerCopy.GONE
        row.processed_at = timezone.now()
    with visit.fenced():
        update_rows(vanished, ["state", "reason", "server_copy", "processed_at"])


def _note_refusal(visit: Visit, rows: Sequence[IncomingMessage], detail: str) -> None:
    now = timezone.now()
    if len(rows) == 1:  # a batch of several does not tell which of them it was
        visit.refused.add(rows[0].pk)
    for row in rows:
        row.attempts += 1
        row.detail = detail
        if row.attempts >= MAX_ATTEMPTS and len(rows) == 1:
            row.state, row.reason = State.QUARANTINED, Reason.REFUSED_BY_SERVER
            row.quarantined_at = row.processed_at = now
            visit.counts.add(State.QUARANTINED)
    with visit.fenced():
        update_rows(rows, ["attempts", "detail", "state", "reason", "quarantined_at", "processed_at"])
