"""Noting on our mail that it came back (R28)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jobs.bulk import update_rows
from mailkit.bounces import Bounce
from outbound.models import OutgoingMessage, Recipient


def record_bounces(bounces: Iterable[tuple[OutgoingMessage, Bounce, datetime]]) -> None:
    """Note on each mail that its bounce arrived at that time, inside the caller's transaction.

    Only recipients of the mail itself are marked: a bounce is not authenticated. A mere delay changes
    nothing. Takes a constant number of queries.
    """
    returned: dict[int, OutgoingMessage] = {}
    replies: dict[tuple[int, str], str] = {}
    for message, bounce, at in bounces:
        failed = [report for report in bounce.recipients if report.action == "failed"]
        if not failed:
            continue
        for report in failed:
            words = f"{report.status} {report.diagnostic}".strip()
            replies[message.pk, report.address.lower()] = words[:500]
        detail = "; ".join(f"{r.address}: {r.status} {r.diagnostic}".strip() for r in failed)
        message.bounced_at, message.bounce_detail = at, detail[:500]
        returned[message.pk] = message
    update_rows(list(returned.values()), ["bounced_at", "bounce_detail"])
    update_rows(_bounced_recipients(returned, replies), ["state", "reply"])


def _bounced_recipients(messages: Iterable[int], replies: dict[tuple[int, str], str]) -> list[Recipient]:
    rows = Recipient.objects.filter(message__in=messages) if replies else ()
    bounced = [row for row in rows if (row.message_id, row.address.lower()) in replies]
    for row in bounced:
        row.state, row.reply = Recipient.State.BOUNCED, replies[row.message_id, row.address.lower()]
    return bounced
