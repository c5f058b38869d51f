"""One scenario of sending: rounds of mail and faults, then peace, then what must hold (I4, I5)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection
from django.utils import timezone
from redis import Redis

from mailaccounts.models import MailAccount
from outbound.models import DeliveryAttempt, OutgoingMessage, Recipient
from soak import canary
from soak import send_faults_wire as wire_faults
from soak import send_faults_worker as worker_faults
from soak.mta import Wire
from soak.outbox import Outbox, make_account
from soak.outcomes import SendOutcome
from soak.services import CANARY, Services
from tests.servers import CuttingProxy

State = OutgoingMessage.State
Fault = Callable[[Outbox], None]

ROUNDS: Final = 4
_SHARE_OF_POSTFIX: Final = 0.4
_MAILS_A_ROUND: Final = (3, 6)
_EVERYWHERE: Final[dict[Fault, int]] = {
    wire_faults.cut_before_dot: 6, wire_faults.fall_silent: 1, wire_faults.cut_in_body: 5,
    wire_faults.cut_at_dot: 8, wire_faults.lose_reply: 6, wire_faults.lose_server: 2,
    worker_faults.kill_at_failpoint: 14, worker_faults.kill_any_time: 12, worker_faults.compete: 6,
    worker_faults.oversleep: 8, worker_faults.change_settings: 5, worker_faults.decide: 6,
    worker_faults.flush_broker: 4,
}  # fmt: skip
"""How often each comes, in relation to the others; further ones where the servers allow them."""
_BY_SCRIPT: Final[dict[Fault, int]] = {
    wire_faults.refuse: 12, wire_faults.hang_up: 6, worker_faults.kill_before_reply: 6,
}  # fmt: skip
_POSTGRESQL: Final[dict[Fault, int]] = {
    worker_faults.lose_database: 8, worker_faults.end_database_sessions: 6,
}  # fmt: skip
_OWN_DATABASE: Final[dict[Fault, int]] = {worker_faults.crash_database: 1}


def run(seed: int, services: Services, rounds: int = ROUNDS) -> SendOutcome:
    """Run the scenario ``seed``: the number decides mails and faults, and through which server they go; fewer
    ``rounds`` are its first.
    """
    rng = random.Random(seed)
    with begin(seed, rng, services) as outbox:
        faults = _faults(outbox)
        for _ in range(rounds):
            outbox.queue(rng.randint(*_MAILS_A_ROUND))
            outbox.pass_time()
            rng.choices(list(faults), list(faults.values()))[0](outbox)
        outbox.settle()
        return check(outbox)


@contextmanager
def begin(seed: int, rng: random.Random, services: Services) -> Iterator[Outbox]:
    """An account of the scenario's own, with an empty outbox; afterwards nobody sends for it any more."""
    services.mta.reset()
    Redis.from_url(services.broker_url).flushall()
    postfix = services.mta.postfix if rng.random() < _SHARE_OF_POSTFIX else None
    server = postfix or services.mta.sink
    with CuttingProxy(server.port) as proxy:
        account = make_account(
            f"soak{seed}@firma.example",
            port=proxy.port, password="" if postfix else CANARY, has_debug=rng.random() < 0.3,
        )  # fmt: skip
        yield Outbox(rng, services=services, proxy=proxy, account=account)
        MailAccount.objects.filter(pk=account.pk).update(retired_at=timezone.now())


def _faults(outbox: Outbox) -> dict[Fault, int]:
    possible = dict(_EVERYWHERE)
    if not outbox.goes_through_postfix:
        possible |= _BY_SCRIPT
    if connection.vendor == "postgresql":
        possible |= _POSTGRESQL
    if outbox.services.owns_database:
        possible |= _OWN_DATABASE
    return possible


def check(outbox: Outbox) -> SendOutcome:
    """Compare what arrived with what the rows say, by reading both."""
    rows = list(outbox.rows.select_related("raw").prefetch_related("recipients"))
    arrived = outbox.mta.arrived()
    counted = Counter(row.state for row in rows)
    lost, duplicated = _lost_and_duplicated(rows, arrived)
    unfinished = [row for row in rows if row.state not in OutgoingMessage.FINAL_STATES]
    uncertain = {row.pk for row in rows if row.state == State.UNCERTAIN}
    injected = outbox.uncertain_for_sure | (outbox.perhaps_uncertain & uncertain)
    findings = [
        *outbox.findings,
        *(f"never finished: row {row.pk}, {row.state} {row.last_error}" for row in unfinished),
        *(f"lost: {one}" for one in lost),
        *(f"duplicated: {one}" for one in duplicated),
        *(f"uncertain without a fault after its dot: row {pk}" for pk in uncertain - injected),
        *(f"a fault after its dot, yet not uncertain: row {pk}" for pk in injected - uncertain),
        *_contradictions(rows),
        *_strangers(rows, arrived),
        *_open_attempts(outbox),
        *_secrets(outbox),
    ]
    return SendOutcome(
        faults=tuple(outbox.faults), findings=tuple(findings), done=counted[State.SENT],
        lost=len(lost) + len(unfinished), duplicated=len(duplicated), uncertain=len(uncertain),
        injected=len(injected),
    )  # fmt: skip


def _lost_and_duplicated(rows: list[OutgoingMessage], arrived: Wire) -> tuple[list[str], list[str]]:
    """Message-IDs and recipients with fewer copies than servers accepted, or more than anybody can excuse.

    A repetition keeps the Message-ID, so copies are counted over all rows that bear it: one for the row whose
    recipient is accepted, perhaps one for each row that is uncertain. Automatic answers are never repeated.
    """
    automatic = {row.message_id for row in rows if row.purpose == OutgoingMessage.Purpose.AUTO_REPLY}
    accepted: Counter[tuple[str, str]] = Counter()
    perhaps: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for one in row.recipients.all():
            key = (row.message_id, one.address)
            accepted[key] += one.state == Recipient.State.ACCEPTED
            perhaps[key] += row.state == State.UNCERTAIN and one.state == Recipient.State.PENDING
    keys = set(accepted) | set(perhaps)
    lost = [f"{key}" for key in keys if arrived.copies[key] < accepted[key]]
    most = {key: min(accepted[key], 1) + perhaps[key] for key in keys}
    most |= {key: min(most[key], 1) for key in keys if key[0] in automatic}
    return lost, [f"{key}: {arrived.copies[key]} copies" for key in keys if arrived.copies[key] > most[key]]


def _contradictions(rows: list[OutgoingMessage]) -> list[str]:
    """Rows whose recipients did not come to what the row says."""
    accepted, refused = Recipient.State.ACCEPTED, Recipient.State.REFUSED
    possible = {State.SENT: {accepted}, State.FAILED: {accepted, refused}}
    states = {row: {one.state for one in row.recipients.all()} for row in rows if row.state in possible}
    return [
        f"row {row.pk} is {row.state}, its recipients {sorted(found)}"
        for row, found in states.items()
        if not found <= possible[State(row.state)]
    ]


def _strangers(rows: list[OutgoingMessage], arrived: Wire) -> list[str]:
    """What arrived and nobody queued, and bytes that are not the frozen ones."""
    known = {(row.message_id, one.address) for row in rows for one in row.recipients.all()}
    frozen = {row.message_id: bytes(row.raw.content) for row in rows}
    return [
        *(f"nobody queued {key}" for key in arrived.copies.keys() - known),
        *(
            f"other bytes than the frozen ones: {message_id}"
            for message_id, contents in arrived.contents.items()
            if contents != {frozen.get(message_id, b"")}
        ),
    ]


def _open_attempts(outbox: Outbox) -> list[str]:
    attempts = DeliveryAttempt.objects.filter(message__account=outbox.account, finished_at=None)
    return [f"an attempt without an outcome: {attempt}" for attempt in attempts]


def _secrets(outbox: Outbox) -> Iterator[str]:
    """Where the password was written down (I5); dialogues are kept where SMTP-Debug is on."""
    yield from canary.leaks(outbox.log, outbox.services.broker_url, with_database=False)
    attempts = DeliveryAttempt.objects.filter(message__account=outbox.account)
    for reply, transcript in attempts.values_list("reply", "transcript"):
        if canary.holds(f"{reply} {transcript}".encode()):
            yield f"the password is in an attempt: {reply} {transcript}"
