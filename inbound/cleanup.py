"""Deleting on the server what is safely here: a later phase of its own, irrevocable, hence hedged on every
side (I2).

Only mail imported after the switch was set, whose bytes still hash to what was stored, under the UIDVALIDITY
it was found under; by UID EXPUNGE, never EXPUNGE or CLOSE. The settings are read again under the lease before
each batch, and the lease is asked before each message, so that saved settings stop all but the one under way.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import F, QuerySet

from archive.models import RawMail
from inbound.models import IncomingMessage, Mailbox
from inbound.visit import Visit
from jobs import failpoints, instance, leases
from jobs.bulk import update_rows
from mailaccounts.models import MailAccount
from mailkit.imap import ImapSession
from tickets.models import TicketOptions

State, ServerCopy = IncomingMessage.State, IncomingMessage.ServerCopy

BATCH = 50


def delete_on_server(visit: Visit, session: ImapSession, mailbox: Mailbox) -> None:
    """Delete what may be deleted in the folder, batch by batch, until the slice of the poll is used up.

    Raises MailError (MailboxUnavailable: nothing deleted, our flags taken back) and LeaseLost.
    """
    if not _may_delete(visit.options) or not _candidates(visit.options, mailbox).exists():
        return
    instance.require_original()
    status = session.select(mailbox.name)
    if status.uid_validity != mailbox.uid_validity:
        return  # the folder was renumbered since: the next look finds everything anew (R14)
    while not visit.is_over() and (rows := _claim(visit, mailbox)):
        failpoints.reached("before_delete")
        deleted = _delete(visit, session, rows, status.uid_validity)
        failpoints.reached("after_delete")
        _note_deleted(visit, mailbox, deleted)
    session.unselect()


def _may_delete(options: TicketOptions) -> bool:
    return options.is_enabled and options.deletes_on_server and options.delete_imported_after is not None


def _candidates(options: TicketOptions, mailbox: Mailbox) -> QuerySet[IncomingMessage]:
    """Imported, committed, still on the server. What a killed poll left ``deleting`` is among them (R3)."""
    return IncomingMessage.objects.filter(
        mailbox=mailbox,
        uid_validity=mailbox.uid_validity,
        state=State.IMPORTED,
        raw__isnull=False,
        ticket_message__isnull=False,
        server_copy__in=IncomingMessage.ON_SERVER,
        processed_at__gt=options.delete_imported_after,
    ).order_by("id")


def count_deletable(account: MailAccount) -> int:
    """How many imported messages still lie on the server: what deleting the backlog, too, would delete."""
    return IncomingMessage.objects.filter(
        account=account,
        uid_validity=F("mailbox__uid_validity"),
        state=State.IMPORTED,
        ticket_message__isnull=False,
        server_copy__in=IncomingMessage.ON_SERVER,
    ).count()


def _claim(visit: Visit, mailbox: Mailbox) -> list[IncomingMessage]:
    """Mark the next rows ``deleting`` if the settings, read under the lease, still want it (R39)."""
    intact = _intact(list(_candidates(visit.options, mailbox)[:BATCH]))
    with visit.fenced():
        options = TicketOptions.objects.get(account=visit.account)
        if not intact or not _may_delete(options):
            return []
        wanted = set(
            _candidates(options, mailbox)
            .filter(pk__in=[row.pk for row in intact])
            .values_list("pk", flat=True)
        )
        rows = [row for row in intact if row.pk in wanted]
        IncomingMessage.objects.filter(pk__in=wanted).update(server_copy=ServerCopy.DELETING)
    return rows


def _delete(
    visit: Visit, session: ImapSession, rows: Sequence[IncomingMessage], uid_validity: int
) -> list[IncomingMessage]:
    """Delete message by message, each under the lease, and return those that went before the slice was over.

    A batch at once would be faster, but flagged and expunged under settings saved since (R39).
    """
    deleted = []
    for row in rows:
        if visit.is_over():
            break
        leases.renew(visit.lease)
        session.delete([row.uid], expected_uid_validity=uid_validity)
        deleted.append(row)
    return deleted


def _intact(rows: Sequence[IncomingMessage]) -> list[IncomingMessage]:
    """Rows whose stored bytes still verify; one that does not keeps its copy on the server."""
    verified = {
        raw.pk
        for raw in RawMail.objects.filter(pk__in=[row.raw_id for row in rows]).iterator(10)
        if raw.verifies()
    }
    return [row for row in rows if row.raw_id in verified]


def _note_deleted(visit: Visit, mailbox: Mailbox, rows: Sequence[IncomingMessage]) -> None:
    for row in rows:
        row.server_copy = ServerCopy.DELETED
    with visit.fenced():
        update_rows(rows, ["server_copy"])
        mailbox.server_messages = max(mailbox.server_messages - len(rows), 0)
        mailbox.save(update_fields=["server_messages"])
    visit.counts.deleted += len(rows)
