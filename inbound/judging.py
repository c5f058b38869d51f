"""What a stored message is and where it ends, before anything is written: a batch with a constant number of
reads.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.conf import settings

from inbound.exclusion import exclusion
from inbound.fetching import FetchedMail
from inbound.loops import loop_mark
from inbound.models import IncomingMessage
from inbound.reasons import Reason
from inbound.visit import Visit
from mailaccounts.models import ConnectionTest
from mailkit.addresses import Address, normalise
from mailkit.authresults import authentication_verdict
from mailkit.autosubmitted import is_looping
from mailkit.bounces import Bounce, parse_bounce
from mailkit.errors import MalformedMessage
from mailkit.parsing import ParsedMessage, parse_message
from outbound.models import OutgoingMessage
from outbound.selectors import messages_by_ids
from tickets.importing import IncomingMail
from tickets.vocabulary import Mark

State = IncomingMessage.State


@dataclass(slots=True)
class Verdict:
    """Where one message ends. ``mail`` is set for what becomes part of a ticket, and only then."""

    row: IncomingMessage
    state: State = State.IMPORTED
    reason: str = ""
    detail: str = ""
    parsed: ParsedMessage | None = None
    mail: IncomingMail | None = None
    bounce: Bounce | None = None
    duplicate_of_id: int | None = None

    def settle(self, state: State, reason: str, detail: str = "") -> None:
        """End the message outside the tickets."""
        self.state, self.reason, self.detail, self.mail = state, reason, detail, None


def judge(visit: Visit, mails: Sequence[FetchedMail]) -> list[Verdict]:
    """Judge ``mails``, whose bytes are stored, in order. Reads the database, writes nothing; CPU work."""
    verdicts = [Verdict(mail.row) for mail in mails]
    _find_duplicates(visit, verdicts)
    _find_own_copies(visit, verdicts)
    for verdict, mail in zip(verdicts, mails, strict=True):
        if verdict.state == State.IMPORTED:
            _read(visit, verdict, mail.content)
    wanted = [verdict for verdict in verdicts if verdict.parsed and verdict.state == State.IMPORTED]
    _find_mails_of_ours(wanted)
    _prepare_for_tickets(visit, [verdict for verdict in wanted if verdict.state == State.IMPORTED])
    return verdicts


def _find_duplicates(visit: Visit, verdicts: Sequence[Verdict]) -> None:
    """The account has these very bytes already: another folder, another copy, or a renumbered folder (R13).

    Recognised by content, never by Message-ID: two messages may share one (B70).
    """
    known = _earlier_rows(visit, [verdict.row for verdict in verdicts])
    for verdict in verdicts:
        first = known.setdefault(verdict.row.raw_id or 0, verdict.row.pk)
        if first != verdict.row.pk:
            verdict.settle(State.DUPLICATE, "")
            verdict.duplicate_of_id = first


def _earlier_rows(visit: Visit, rows: Sequence[IncomingMessage]) -> dict[int, int]:
    others = (
        IncomingMessage.objects.filter(account=visit.account, raw__in=[row.raw_id for row in rows])
        .exclude(pk__in=[row.pk for row in rows])
        .exclude(state=State.DUPLICATE)
        .order_by("-pk")
    )
    return {raw_id: pk for raw_id, pk in others.values_list("raw_id", "pk") if raw_id}


def _find_own_copies(visit: Visit, verdicts: Sequence[Verdict]) -> None:
    """The account polls its Sent folder: byte for byte what we put there."""
    sent = OutgoingMessage.objects.filter(
        raw__in=[verdict.row.raw_id for verdict in verdicts], from_account=visit.account
    )
    copies = set(sent.values_list("raw_id", flat=True))
    for verdict in verdicts:
        if verdict.row.raw_id in copies and verdict.state == State.IMPORTED:
            verdict.settle(State.EXCLUDED, Reason.OWN_COPY)


def _find_mails_of_ours(verdicts: Sequence[Verdict]) -> None:
    """Our own test mails come back, alerts arrive where somebody reads them; neither is a customer's."""
    ids = {v.parsed.message_id for v in verdicts if v.parsed and v.parsed.message_id}
    if not ids:
        return
    tests = ConnectionTest.objects.filter(message_id__in=ids).values_list("message_id", flat=True)
    system = OutgoingMessage.objects.filter(message_id__in=ids, purpose=OutgoingMessage.Purpose.SYSTEM)
    reasons = dict.fromkeys(system.values_list("message_id", flat=True), Reason.SYSTEM_MAIL)
    reasons |= dict.fromkeys(tests, Reason.TEST_MAIL)
    for verdict in verdicts:
        reason = reasons.get(verdict.parsed.message_id or "") if verdict.parsed else None
        if reason:
            verdict.settle(State.EXCLUDED, reason)


def _read(visit: Visit, verdict: Verdict, content: bytes) -> None:
    try:
        verdict.parsed = parse_message(content)
    except MalformedMessage as error:
        known = error.code in Reason.values
        verdict.settle(State.QUARANTINED, error.code if known else Reason.MALFORMED, error.detail)
        return
    excluded_by = (
        None
        if verdict.row.reason == Reason.READ_ANYWAY
        else exclusion(verdict.row.internal_date, visit.options)
    )
    if excluded_by:
        verdict.settle(State.EXCLUDED, excluded_by)
    else:
        _judge_parsed(verdict, verdict.parsed)


def _judge_parsed(verdict: Verdict, parsed: ParsedMessage) -> None:
    verdict.bounce = parse_bounce(parsed)
    is_wanted = verdict.row.reason == Reason.READ_ANYWAY
    if verdict.bounce is None and is_looping(parsed, loop_mark()) and not is_wanted:
        verdict.settle(State.QUARANTINED, Reason.LOOP)


def _prepare_for_tickets(visit: Visit, verdicts: Sequence[Verdict]) -> None:
    """Make what the tickets take; a bounce belongs to the mail of ours that came back (R28)."""
    reports = [verdict.bounce for verdict in verdicts if verdict.bounce]
    sent = messages_by_ids({one for report in reports for one in report.original_message_ids})
    for verdict in verdicts:
        claimed = verdict.bounce.original_message_ids if verdict.bounce else ()
        original = next((sent[one] for one in claimed if one in sent), None)
        if original:
            verdict.state = State.BOUNCE
        if verdict.parsed:
            verdict.mail = _incoming_mail(visit, verdict, verdict.parsed, original)


def _incoming_mail(
    visit: Visit, verdict: Verdict, parsed: ParsedMessage, original: OutgoingMessage | None
) -> IncomingMail:
    from_form = is_from_contact_form(parsed, visit.options.contact_form_senders)
    sender = parsed.reply_to[0] if from_form else parsed.from_
    return IncomingMail(
        parsed=parsed,
        raw_id=verdict.row.raw_id or 0,
        account=visit.account,
        options=visit.options,
        received_at=verdict.row.internal_date,
        sender=sender,
        reply_address=parsed.reply_to[0] if parsed.reply_to else sender,
        delivered_to=_delivered_to(parsed, visit.own),
        marks=tuple(_marks(parsed, from_form=from_form)),
        bounce_of=original,
        is_bounce=verdict.bounce is not None,
    )


def is_from_contact_form(parsed: ParsedMessage, senders: str) -> bool:
    """Whether the message counts as written by its Reply-To (product §4). ``senders`` holds an address a
    line.
    """
    if parsed.from_ is None or not parsed.reply_to:
        return False
    listed = {normalise(line) for line in senders.splitlines() if line.strip()}
    return normalise(parsed.from_.address) in listed


def _delivered_to(parsed: ParsedMessage, own: Collection[str]) -> str:
    """The own address the message was sent to: as servers noted it, else as To and Cc say."""
    written: list[Address] = [*parsed.to, *parsed.cc]
    candidates = [*parsed.delivered_to, *(address.address for address in written)]
    return next((address for address in map(normalise, candidates) if address in own), "")


def _marks(parsed: ParsedMessage, *, from_form: bool) -> list[str]:
    verdict = authentication_verdict(parsed.headers, settings.MAIL_TRUSTED_AUTHSERV_IDS)
    marks: list[str] = []
    if verdict == "fail":
        marks.append(Mark.AUTHENTICATION_FAILED)
    if from_form:
        marks.append(Mark.CONTACT_FORM)
    return marks
