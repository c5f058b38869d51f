"""Broken connections and refusing servers; each fault lets a worker deliver what waits."""

from __future__ import annotations

import re
from typing import Final

from soak.outbox import Outbox
from tests.servers import Cut, SmtpScript, free_port

_BEFORE_DOT: Final = {
    "MAIL": (rb"MAIL FROM", False), "RCPT": (rb"RCPT TO", False), "DATA": (rb"\r\nDATA\r\n", False),
    "354": (rb"\r\n354", True), "login": (rb"AUTH ", False), "greeting": (rb"220", True),
}  # fmt: skip
_FURTHEST: Final = 60_000  # bytes; re counts no further than 65,535
_REPLIES: Final = (
    "421 4.7.0 Too many messages", "450 4.2.0 Mailbox busy", "451 4.7.1 Greylisted",
    "452 4.3.1 Out of storage", "550 5.7.1 No", "554 5.6.0 Rejected",
)  # fmt: skip


def cut_before_dot(outbox: Outbox) -> None:
    """The connection breaks before DATA, or before the body (R23)."""
    where = outbox.rng.choice(list(_BEFORE_DOT))
    pattern, from_server = _BEFORE_DOT[where]
    times = outbox.rng.randint(1, 3)
    outbox.faults.append(f"cut {times} times at {where}")
    passes = outbox.rng.random() < 0.5
    outbox.cut(Cut(pattern=pattern, from_server=from_server, includes_match=passes, times=times))


def fall_silent(outbox: Outbox) -> None:
    """The server says nothing any more, and closes nothing (R12)."""
    where = outbox.rng.choice(list(_BEFORE_DOT))
    pattern, from_server = _BEFORE_DOT[where]
    outbox.faults.append(f"silence at {where}")
    # Withheld itself: after a DATA that arrives, the reply to the dot is waited for, five minutes long.
    silence = Cut(pattern=pattern, from_server=from_server, includes_match=False, is_silent=True, times=1)
    outbox.cut(silence, timeout=1.0)


def cut_in_body(outbox: Outbox) -> None:
    """The connection breaks inside DATA. What fits into a socket is all gone by then, the dot as well."""
    victim = outbox.one_waiting()
    _, _, rest = victim.raw.content_bytes.partition(victim.message_id.encode())
    after = outbox.rng.randrange(min(len(rest), _FURTHEST))
    outbox.faults.append(f"cut {after} bytes after the Message-ID")
    pattern = re.escape(victim.message_id).encode() + b".{%d}" % after
    if outbox.cut(Cut(pattern=pattern, from_server=False, times=1)):
        outbox.perhaps_uncertain.add(victim.pk)


def cut_at_dot(outbox: Outbox) -> None:
    """The connection breaks at the dot, which the server gets or does not get (R24)."""
    victim, arrives = outbox.one_waiting(), outbox.rng.random() < 0.5
    outbox.faults.append(f"cut at the dot, which {'arrives' if arrives else 'does not arrive'}")
    dot = rb"\.\r\n" if arrives else rb"(?=\.\r\n)"
    pattern = re.escape(victim.message_id).encode() + rb".*?\r\n" + dot
    if outbox.cut(Cut(pattern=pattern, from_server=False, times=1)):
        outbox.uncertain_for_sure.add(victim.pk)


def lose_reply(outbox: Outbox) -> None:
    """The server takes a mail, and its reply gets lost (R24)."""
    nth = outbox.rng.randint(1, 3)
    outbox.faults.append(f"cut before reply {nth} to a dot")
    replies = rb"(?:\r\n354[^\n]*\n250.*?){%d}" % nth
    if outbox.cut(Cut(pattern=replies, includes_match=False, times=1)) and (victim := outbox.last_on_wire()):
        outbox.uncertain_for_sure.add(victim.pk)


def refuse(outbox: Outbox) -> None:
    """The server refuses MAIL, DATA, the dot or a recipient, for now or for good (R26, R27)."""
    stage, reply = outbox.rng.choice(["mail", "data", "dot", "recipient"]), outbox.rng.choice(_REPLIES)
    times = outbox.rng.randint(1, 3)
    outbox.faults.append(f"{times} times {reply} to {stage}")
    if stage == "recipient":
        row = outbox.one_waiting()
        address = outbox.rng.choice(sorted(row.recipients.values_list("address", flat=True)))
        outbox.mta.sink.script = SmtpScript(recipients={address: reply})
    else:
        outbox.mta.sink.script = SmtpScript(**{stage: reply, "times": times})
    outbox.work()
    outbox.mta.sink.script = SmtpScript()


def hang_up(outbox: Outbox) -> None:
    """The server hangs up without a word; after the dot it has taken the mail or not (R23, R24)."""
    stage, keeps = outbox.rng.choice(["MAIL", "RCPT", "DATA", "DOT", "DOT"]), outbox.rng.random() < 0.5
    outbox.faults.append(f"hang up at {stage}, keep the mail: {keeps}")
    script = SmtpScript(drop_at=stage, keeps_dropped=keeps, times=1)
    outbox.mta.sink.script = script
    outbox.work()
    outbox.mta.sink.script = SmtpScript()
    if stage == "DOT" and script.times == 0 and (victim := outbox.last_on_wire()):
        outbox.uncertain_for_sure.add(victim.pk)


def lose_server(outbox: Outbox) -> None:
    """Nobody listens where the settings lead to, until they are put right."""
    outbox.faults.append("no server")
    outbox.change_settings(port=free_port())
    outbox.work()
    outbox.change_settings(port=outbox.proxy.port)
    outbox.work()
