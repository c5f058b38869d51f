"""What is new in a folder: every message on the server gets a row in the ledger before a byte of it is read.

The folder is opened with EXAMINE, so nothing in it changes. UIDs below ``Mailbox.next_uid`` are known; flags
are never asked, so mail that somebody has read already is found all the same (R16). Where the server's count
differs from what the ledger expects, both are compared UID by UID.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import F
from django.utils import timezone

from inbound.exclusion import first_state
from inbound.models import IncomingMessage, Mailbox
from inbound.reasons import Reason
from inbound.visit import Visit
from jobs import failpoints
from jobs.inserting import insert_rows
from mailkit.imap import FolderStatus, ImapSession, MessageMeta

State, ServerCopy = IncomingMessage.State, IncomingMessage.ServerCopy

CHUNK = 2_000
"""Messages that enter the ledger in one transaction: bounds memory and work lost at an interruption (R19)."""


def look(visit: Visit, session: ImapSession, mailbox: Mailbox) -> list[int]:
    """Open the folder, bring the ledger in line with the server, and return the UIDs that have no row yet.

    Leaves ``session`` with the folder examined. Raises MailError and LeaseLost.
    """
    status = session.examine(mailbox.name)
    # UIDNEXT never falls (RFC 3501 §2.3.1.1): a server restored from a backup gives known UIDs to other mail.
    if mailbox.uid_validity != status.uid_validity or status.uid_next < mailbox.next_uid:
        restart(visit, mailbox, status.uid_validity)
    if is_unchanged(mailbox, status):
        found: list[int] = []
    else:
        found = session.uids_from(mailbox.next_uid)
        if _expected(mailbox, found) != _counted(status, found):
            found = sorted({*found, *_reconcile(visit, session, mailbox)})
    _note_count(visit, mailbox, status, found)
    return found


def is_unchanged(mailbox: Mailbox, status: FolderStatus) -> bool:
    """Whether the server's numbers say that nothing came and nothing went since the last poll."""
    return (
        mailbox.uid_validity == status.uid_validity
        and mailbox.next_uid == status.uid_next
        and mailbox.server_messages == status.messages
        and not mailbox.undiscovered
    )


def restart(visit: Visit, mailbox: Mailbox, uid_validity: int) -> None:
    """Begin the folder anew: under another UIDVALIDITY no UID we hold means anything (RFC 3501 §2.3.1.1,
    R13).

    Messages whose bytes we hold keep their rows; those without will be found again under their new UIDs.
    """
    with visit.fenced():
        old = IncomingMessage.objects.filter(mailbox=mailbox, server_copy__in=IncomingMessage.ON_SERVER)
        old.filter(raw__isnull=True).exclude(state=State.VANISHED).update(
            state=State.VANISHED, reason=Reason.UIDVALIDITY, server_copy=ServerCopy.GONE
        )
        old.update(server_copy=ServerCopy.GONE)
        # The number may be one that was in use before: its UIDs name other mail now.
        again = IncomingMessage.objects.filter(mailbox=mailbox, uid_validity=uid_validity)
        again.update(uid_validity=-F("pk"))
        mailbox.uid_validity, mailbox.next_uid = uid_validity, 1
        mailbox.server_messages = mailbox.undiscovered = 0
        mailbox.save()


def chunks(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut UIDs into what one transaction takes."""
    for start in range(0, len(uids), CHUNK):
        yield uids[start : start + CHUNK]


def enter(visit: Visit, session: ImapSession, mailbox: Mailbox, uids: Sequence[int]) -> None:
    """Give the messages ``uids`` their rows and move the cursor past them, in one transaction.

    What vanished meanwhile gets no row. Raises MailError and LeaseLost.
    """
    messages = session.fetch_metadata(uids)
    rows = [_row(visit, mailbox, message) for message in messages]
    with visit.fenced():
        # A row may be there already: the COMMIT went through and only its reply was lost (R5).
        insert_rows(rows, ignore_conflicts=True)
        mailbox.next_uid = max(mailbox.next_uid, uids[-1] + 1)
        mailbox.undiscovered = max(mailbox.undiscovered - len(uids), 0)
        mailbox.server_messages = max(mailbox.server_messages - (len(uids) - len(rows)), 0)
        mailbox.save(update_fields=["next_uid", "undiscovered", "server_messages"])
    failpoints.reached("after_discovery")
    visit.counts.new += len(rows)
    for row in rows:
        visit.counts.add(row.state)


def _row(visit: Visit, mailbox: Mailbox, message: MessageMeta) -> IncomingMessage:
    state, reason = first_state(message.internal_date, message.size, visit.options)
    now = timezone.now()
    return IncomingMessage(
        account=visit.account,
        mailbox=mailbox,
        uid_validity=mailbox.uid_validity,
        uid=message.uid,
        internal_date=message.internal_date,
        size=message.size,
        state=state,
        reason=reason or "",
        processed_at=None if state == State.SEEN else now,
        quarantined_at=now if state == State.QUARANTINED else None,
    )


def _expected(mailbox: Mailbox, found: Sequence[int]) -> int:
    return mailbox.server_messages - mailbox.undiscovered + len(found)


def _counted(status: FolderStatus, found: Sequence[int]) -> int:
    """The server's count, with what arrived between EXAMINE and SEARCH."""
    return status.messages + sum(1 for uid in found if uid >= status.uid_next)


def _note_count(visit: Visit, mailbox: Mailbox, status: FolderStatus, found: Sequence[int]) -> None:
    with visit.fenced():
        mailbox.server_messages = _counted(status, found)
        mailbox.undiscovered = len(found)
        mailbox.is_unfinished |= bool(found)
        if not found:
            mailbox.next_uid = max(mailbox.next_uid, status.uid_next)
        mailbox.seen_at = timezone.now()
        mailbox.save()


def _reconcile(visit: Visit, session: ImapSession, mailbox: Mailbox) -> set[int]:
    """Compare all UIDs with the ledger: note what others removed, return what the ledger does not know."""
    on_server = set(session.uids_from(1))
    rows = IncomingMessage.objects.filter(mailbox=mailbox, uid_validity=mailbox.uid_validity)
    known = dict(rows.values_list("uid", "server_copy"))
    gone = [uid for uid, copy in known.items() if copy in IncomingMessage.ON_SERVER and uid not in on_server]
    for some in chunks(sorted(gone)):
        _note_gone(visit, mailbox, some)
    return on_server - known.keys()


def _note_gone(visit: Visit, mailbox: Mailbox, uids: Sequence[int]) -> None:
    with visit.fenced():
        gone = IncomingMessage.objects.filter(
            mailbox=mailbox, uid_validity=mailbox.uid_validity, uid__in=uids
        )
        gone.filter(state=State.SEEN).update(state=State.VANISHED, reason=Reason.REMOVED)
        # A deletion of ours that was interrupted after the server had done it (R3).
        gone.filter(server_copy=ServerCopy.DELETING).update(server_copy=ServerCopy.DELETED)
        gone.filter(server_copy=ServerCopy.KEPT).update(server_copy=ServerCopy.GONE)
