"""Keeping the bytes: raw mail and the ledger's reference to it, in one transaction, before anything reads
them.
"""

from __future__ import annotations

from collections.abc import Sequence

from archive.models import RawMail
from archive.services import store_raw
from inbound.fetching import BATCH_BYTES, BATCH_MESSAGES, FetchedMail
from inbound.models import IncomingMessage, Mailbox
from inbound.visit import Visit
from jobs import failpoints
from jobs.bulk import update_rows
from jobs.durability import commit_without_waiting

State = IncomingMessage.State


def store(visit: Visit, mails: Sequence[FetchedMail]) -> None:
    """Write the bytes of ``mails`` and mark their rows ``stored``. Raises LeaseLost.

    A crash of the database may take this back: the messages are on the server still, and deleted there only
    after the commit of their outcome, which waits for the disk and for all that was written before it.
    """
    with visit.fenced():
        commit_without_waiting()
        raws = store_raw(mail.content for mail in mails)
        for mail in mails:
            mail.row.raw_id = raws[mail.content].pk  # not the row, which would hold the bytes on
            mail.row.state = State.STORED
        update_rows([mail.row for mail in mails], ["raw", "state"])
        failpoints.reached("in_store")
    failpoints.reached("after_store")


def left_over(mailbox: Mailbox) -> list[FetchedMail]:
    """Messages stored earlier whose processing was interrupted (R1), a batch of at most 50 and about 8 MB."""
    rows = IncomingMessage.objects.filter(mailbox=mailbox, state=State.STORED).select_related("raw")
    batch: list[FetchedMail] = []
    size = 0
    for row in rows.defer("raw__content").order_by("id")[:BATCH_MESSAGES]:
        size += row.size
        if batch and size > BATCH_BYTES:
            break
        batch.append(FetchedMail(row, read_raw(row)))
    return batch


def read_raw(row: IncomingMessage) -> bytes:
    """The stored bytes of a row that has them."""
    return RawMail.objects.get(incoming=row).content_bytes
