"""Writing down what a server said: a definite reply wins over what was believed before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from jobs import failpoints
from mailkit.delivery import DeliveryResult, Reply
from mailkit.errors import DeliveryError, MailError
from outbound.claims import Claim, held
from outbound.clock import retry_delay
from outbound.models import DeliveryAttempt, OutgoingMessage, Recipient

State = OutgoingMessage.State
CopyState = OutgoingMessage.CopyState
_SILENCE = Reply(0, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of the row: its state, the words behind it, when it is tried again, and who said what."""

    state: State
    code: str = ""
    reply: Reply = _SILENCE
    retry_at: datetime | None = None
    accepted: Sequence[str] = ()
    acceptance: Reply = _SILENCE
    refused: Mapping[str, Reply] = field(default_factory=dict)


def record_result(claim: Claim, result: DeliveryResult, transcript: Sequence[str] = ()) -> State:
    """The server took the mail for at least one recipient; return the row's new state.

    A recipient refused for now (4xx) stays pending and is asked again alone; one refused for good makes the
    row failed. Those who accepted are never asked again (R27).
    """
    return _record(claim, _verdict_on_result(claim, result), transcript)


def record_failure(claim: Claim, error: MailError, transcript: Sequence[str] = ()) -> State:
    """The server refused for good, or the bytes may go on no wire: failed, visible, never tried again."""
    return _record(claim, _verdict_on_error(State.FAILED, error), transcript)


def record_uncertain(claim: Claim, error: DeliveryError, transcript: Sequence[str] = ()) -> State:
    """The connection broke between the dot and the reply (R24): a person decides."""
    return _record(claim, _verdict_on_error(State.UNCERTAIN, error), transcript)


def record_deferral(claim: Claim, error: MailError, transcript: Sequence[str] = ()) -> State:
    """Not now: tried again after a growing delay, until the row is given up."""
    return _record(claim, _deferred(claim, _verdict_on_error(State.QUEUED, error)), transcript)


def give_up_overdue(account_id: int, error: MailError) -> None:
    """Fail what has waited beyond its time for an account that ``error`` still keeps from sending."""
    _give_up(OutgoingMessage.objects.filter(account=account_id), error.detail)


def give_up_untried(tried: Collection[int]) -> None:
    """Fail what has waited beyond its time for accounts other than ``tried``: paused, retired, SMTP off.

    Otherwise mail of long ago would wait for ever, or leave once the account works again (I4). Automatic
    answers are given up on every account; other mail gets a last attempt where there can be one.
    """
    is_automatic = Q(purpose=OutgoingMessage.Purpose.AUTO_REPLY)
    _give_up(OutgoingMessage.objects.filter(is_automatic | ~Q(account__in=tried)), "")


def _give_up(waiting: QuerySet[OutgoingMessage], reply: str) -> None:
    now = timezone.now()
    rows = waiting.filter(state=State.QUEUED, give_up_at__lte=now)
    with transaction.atomic():
        ids = list(rows.values_list("pk", flat=True))
        rows.filter(pk__in=ids).update(
            state=State.FAILED, last_error="gave_up", last_reply=reply[:500], finished_at=now
        )
        given_up = OutgoingMessage.objects.filter(pk__in=ids, state=State.FAILED)
        given_up.filter(copy_state=CopyState.PENDING, copy_next_attempt_at=None).update(
            copy_state=CopyState.NONE
        )
        pending = Recipient.objects.filter(message__in=given_up, state=Recipient.State.PENDING)
        pending.update(state=Recipient.State.REFUSED, reply=reply[:500])


def _verdict_on_error(state: State, error: MailError) -> Verdict:
    reply = Reply(getattr(error, "reply_code", 0), error.detail)
    return Verdict(state=state, code=error.code, reply=reply, refused=getattr(error, "refused", {}))


def _verdict_on_result(claim: Claim, result: DeliveryResult) -> Verdict:
    final = Reply(result.reply_code, result.reply_text)
    said: dict[str, Any] = {"accepted": result.accepted, "acceptance": final, "refused": result.refused}
    for_now = [reply for reply in result.refused.values() if reply.is_transient]
    if for_now:
        return _deferred(
            claim, Verdict(state=State.QUEUED, code="recipients_deferred", reply=for_now[0], **said)
        )
    refused = [*result.refused.values(), *_earlier_refusals(claim)]
    if refused:
        return Verdict(state=State.FAILED, code="recipients_refused", reply=refused[0], **said)
    return Verdict(state=State.SENT, reply=final, **said)


def _earlier_refusals(claim: Claim) -> list[Reply]:
    refused = [one for one in claim.recipients if one.state == Recipient.State.REFUSED]
    return [Reply(one.reply_code, one.reply) for one in refused]


def _deferred(claim: Claim, verdict: Verdict) -> Verdict:
    now = timezone.now()
    is_over = now >= claim.message.give_up_at
    if is_over:
        return replace(verdict, state=State.FAILED, code="gave_up")
    return replace(verdict, retry_at=now + retry_delay(claim.message.attempts + 1))


def _record(claim: Claim, verdict: Verdict, transcript: Sequence[str]) -> State:
    with transaction.atomic():
        if held(claim).update(**_row_changes(claim, verdict)):
            _record_recipients(claim, verdict)
        _record_attempt(claim, verdict, transcript)
        failpoints.reached("outbound_in_record")
    failpoints.reached("outbound_after_record")
    return verdict.state


def _row_changes(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": verdict.state,
        "inflight_since": None,
        "last_reply_code": verdict.reply.code,
        "last_reply": verdict.reply.text[:500],
        "last_error": verdict.code[:60],
        "finished_at": timezone.now() if verdict.state in OutgoingMessage.FINAL_STATES else None,
        **_copy_changes(claim.message, verdict),
    }
    if verdict.state != State.UNCERTAIN:
        changes["claim_token"] = None
    if verdict.retry_at:
        changes["next_attempt_at"] = verdict.retry_at
    if not claim.dot_is_sent:
        changes["attempts"] = F("attempts") + 1
    return changes


def _copy_changes(message: OutgoingMessage, verdict: Verdict) -> dict[str, Any]:
    """The Sent copy is due once anybody has accepted the mail, and never when nobody has."""
    if message.copy_state != CopyState.PENDING or message.copy_next_attempt_at:
        return {}
    if verdict.accepted:
        return {"copy_next_attempt_at": timezone.now()}
    return {"copy_state": CopyState.NONE} if verdict.state == State.FAILED else {}


def _record_recipients(claim: Claim, verdict: Verdict) -> None:
    if verdict.accepted:
        accepted = _recipients(claim).filter(address__in=verdict.accepted)
        accepted.update(state=Recipient.State.ACCEPTED, **_words(verdict.acceptance))
    for address, reply in verdict.refused.items():
        state = Recipient.State.PENDING if reply.is_transient else Recipient.State.REFUSED
        _recipients(claim).filter(address=address).update(state=state, **_words(reply))
    if verdict.state == State.FAILED:
        left = _recipients(claim).filter(state=Recipient.State.PENDING)
        left.update(state=Recipient.State.REFUSED, **_words(verdict.reply))


def _recipients(claim: Claim) -> QuerySet[Recipient]:
    return Recipient.objects.filter(message=claim.message)


def _words(reply: Reply) -> dict[str, Any]:
    return {"reply_code": reply.code, "reply": reply.text[:500]}


def _record_attempt(claim: Claim, verdict: Verdict, transcript: Sequence[str]) -> None:
    """Finish the attempt that was begun before the dot, or write down one that never got there."""
    outcome = {
        "finished_at": timezone.now(),
        "outcome": (verdict.code or verdict.state)[:60],
        "transcript": "\n".join(transcript),
        **_words(verdict.reply),
    }
    if claim.attempt_id is not None:
        DeliveryAttempt.objects.filter(pk=claim.attempt_id).update(**outcome)
        return
    DeliveryAttempt.objects.create(
        message=claim.message, account_id=claim.message.account_id, started_at=claim.started_at, **outcome
    )
