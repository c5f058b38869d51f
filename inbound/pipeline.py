"""From stored bytes to tickets: judge, plan and compose outside a transaction, then write all of it in one.

A batch that fails is replayed message by message, so that only the one that fails comes to quarantine. A
fault of the moment (lost connection, deadlock, full disk) is raised instead: the rows stay ``stored``, the
next poll goes on.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from django.utils import timezone

from inbound import answers
from inbound.answers import Answer
from inbound.faults import is_transient
from inbound.fetching import FetchedMail
from inbound.judging import Verdict, judge
from inbound.models import IncomingMessage
from inbound.reasons import Reason
from inbound.visit import Visit
from jobs import failpoints
from jobs.bulk import update_rows
from jobs.leases import LeaseLost
from outbound.services import record_bounces
from tickets.importing import BatchPlan, PlanOutdated, import_batch, plan_batch
from tickets.models import TicketMessage

State = IncomingMessage.State

_DETAIL_CHARS = 8_000
_OUTCOME = (
    "state", "reason", "detail", "message_id", "from_address", "subject", "ticket_message", "bounce_of",
    "duplicate_of", "processed_at", "quarantined_at",
)  # fmt: skip


def process(visit: Visit, mails: Sequence[FetchedMail]) -> None:
    """Bring ``mails``, whose bytes are stored, to their outcome. Raises LeaseLost and transient database
    errors.
    """
    try:
        try:
            _process(visit, mails)
        except PlanOutdated:
            _process(visit, mails)
    except LeaseLost:
        raise
    except Exception as error:  # the one place: whatever a mail provokes ends in its quarantine row
        if is_transient(error):
            raise
        if len(mails) == 1:
            _quarantine(visit, mails[0], error)
        else:
            for mail in mails:
                process(visit, [mail])


def _process(visit: Visit, mails: Sequence[FetchedMail]) -> None:
    verdicts = judge(visit, mails)
    for_tickets = [verdict for verdict in verdicts if verdict.mail]
    plan = plan_batch([verdict.mail for verdict in for_tickets if verdict.mail])
    decided = answers.decide(visit, list(zip(for_tickets, plan.mails, strict=True)))
    failpoints.reached("before_commit")
    with visit.fenced():
        _write(visit, verdicts, for_tickets, plan, decided)
    failpoints.reached("after_commit")
    for verdict in verdicts:
        visit.counts.add(verdict.state)


def _write(
    visit: Visit,
    verdicts: Sequence[Verdict],
    for_tickets: Sequence[Verdict],
    plan: BatchPlan,
    decided: list[Answer],
) -> None:
    imported = import_batch(plan) if for_tickets else []
    failpoints.reached("in_import")
    messages = {
        verdict.row.pk: message
        for verdict, message in zip(for_tickets, imported, strict=True)
        if message is not None
    }
    for verdict in verdicts:
        _note_outcome(verdict, messages.get(verdict.row.pk))
    update_rows([verdict.row for verdict in verdicts], _OUTCOME)
    record_bounces(
        (verdict.mail.bounce_of, verdict.bounce, verdict.row.internal_date)
        for verdict in for_tickets
        if verdict.bounce and verdict.mail and verdict.mail.bounce_of
    )
    answers.save(visit, decided, messages)
    failpoints.reached("in_commit")


def _note_outcome(verdict: Verdict, message: TicketMessage | None) -> None:
    row, parsed, now = verdict.row, verdict.parsed, timezone.now()
    row.state, row.reason, row.detail = verdict.state, verdict.reason, storable(verdict.detail)
    row.ticket_message = message
    row.bounce_of = verdict.mail.bounce_of if verdict.mail else None
    row.duplicate_of_id = verdict.duplicate_of_id
    row.processed_at = now
    if verdict.state == State.QUARANTINED and row.quarantined_at is None:
        row.quarantined_at = now
    if parsed:
        row.message_id = storable(parsed.message_id or "", 255)
        row.from_address = storable(parsed.from_.address if parsed.from_ else "", 320)
        row.subject = storable(parsed.subject, 255)


def _quarantine(visit: Visit, mail: FetchedMail, error: Exception) -> None:
    row, now = mail.row, timezone.now()
    row.state, row.reason = State.QUARANTINED, Reason.IMPORT_FAILED
    row.detail = storable("".join(traceback.format_exception(error)))
    row.ticket_message = row.bounce_of = row.duplicate_of = None
    row.processed_at = now
    row.quarantined_at = row.quarantined_at or now
    with visit.fenced():
        update_rows([row], _OUTCOME)
    visit.counts.add(State.QUARANTINED)


def storable(text: str, limit: int = _DETAIL_CHARS) -> str:
    """The end of a long text, or what fits a column; without NUL, which PostgreSQL refuses."""
    clean = text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return clean[-limit:] if limit == _DETAIL_CHARS else clean[:limit]
