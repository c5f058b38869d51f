"""I1, I2, I3 and I5 of one account, from outside: the server through a client of its own, the database as it
is.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from archive.models import RawMail
from inbound.models import AutoReply, IncomingMessage
from mailaccounts.models import MailAccount
from outbound.models import OutgoingMessage
from soak.mailbox import Copy, Mailbox
from soak.mails import Letter
from soak.outcomes import ImportOutcome
from tickets.models import TicketMessage, TicketOptions

State, ServerCopy = IncomingMessage.State, IncomingMessage.ServerCopy


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is in the database and on the server once everything is at rest."""

    account: MailAccount
    mailbox: Mailbox
    rows: Sequence[IncomingMessage]
    digests: dict[int, bytes]
    messages: Counter[bytes]
    copies: Sequence[Copy]

    @classmethod
    def gather(cls, account: MailAccount, mailbox: Mailbox) -> Evidence:
        """Read it. ``digests`` are those of the stored bytes, computed anew, by raw mail; ``messages`` counts
        the ticket messages by them.
        """
        rows = list(IncomingMessage.objects.filter(account=account).select_related("mailbox").order_by("pk"))
        raws = RawMail.objects.filter(pk__in={row.raw_id for row in rows})
        digests = {raw.pk: hashlib.sha256(raw.content_bytes).digest() for raw in raws}
        messages = TicketMessage.objects.filter(raw__in=digests, ticket__account=account)
        counted = Counter(digests[pk] for pk in messages.values_list("raw_id", flat=True) if pk)
        return cls(account, mailbox, rows, digests, counted, mailbox.read())

    def rows_of(self, digest: bytes) -> list[IncomingMessage]:
        """Ledger rows that hold these bytes."""
        return [row for row in self.rows if row.raw_id and self.digests[row.raw_id] == digest]

    @staticmethod
    def was_renumbered(row: IncomingMessage) -> bool:
        """Whether we had begun to delete it, perhaps, when its UID became void."""
        return row.state == State.IMPORTED and row.server_copy == ServerCopy.GONE

    def deleted(self, digest: bytes) -> int:
        """How many copies of these bytes we have deleted, or may have right before a renumbering."""
        deletes = TicketOptions.objects.get(account=self.account).deletes_on_server
        return sum(
            row.server_copy == ServerCopy.DELETED or (deletes and self.was_renumbered(row))
            for row in self.rows_of(digest)
        )


def check(account: MailAccount, mailbox: Mailbox) -> ImportOutcome:
    """What became of every letter, and everything that does not hold."""
    evidence = Evidence.gather(account, mailbox)
    by_digest: defaultdict[bytes, list[Letter]] = defaultdict(list)
    for letter in mailbox.letters:
        by_digest[letter.digest].append(letter)
    outcome = ImportOutcome(
        done=sum(_has_ended(evidence, letter) for letter in mailbox.letters),
        findings=(
            *_unfinished(evidence),
            *_unbalanced(evidence),
            *_strange_rows(evidence, by_digest.keys()),
            *_orphans(evidence),
            *_wrong_answers(account),
        ),
    )
    for digest, letters in by_digest.items():
        outcome += _ledger(evidence, digest, letters)
        outcome += _server(evidence, digest, letters)
    return outcome


def _has_ended(evidence: Evidence, letter: Letter) -> bool:
    return bool(letter.is_old or evidence.rows_of(letter.digest))


def _ledger(evidence: Evidence, digest: bytes, letters: Sequence[Letter]) -> ImportOutcome:
    """I1: the bytes ended in one row, and in one ticket message at most; the others are duplicates of it."""
    rows = evidence.rows_of(digest)
    first = [row for row in rows if row.state != State.DUPLICATE]
    name = digest.hex()[:8]
    if not rows:
        return _without_bytes(evidence, name, letters)
    double = max(len(first) - 1, evidence.messages[digest] - 1, 0)
    findings = [f"{name}: ended {double + 1} times" for _ in range(double)]
    if not first:
        findings.append(f"{name}: nothing but duplicates")
    findings += [
        f"{name}: row {row.pk} is no duplicate of the first"
        for row in rows
        if first and row.state == State.DUPLICATE and row.duplicate_of_id not in {one.pk for one in first}
    ]
    findings += [
        f"{name}: imported, and no ticket message holds it"
        for row in first
        if row.state == State.IMPORTED and not evidence.messages[digest]
    ]
    return ImportOutcome(lost=0 if first else len(letters), duplicated=double, findings=tuple(findings))


def _without_bytes(evidence: Evidence, name: str, letters: Sequence[Letter]) -> ImportOutcome:
    """Excluded before a byte was read, or taken away by a colleague before we came: neither is lost."""
    on_server = {(copy.folder, copy.uid) for copy in evidence.copies if copy.digest == letters[0].digest}
    known = {
        (row.mailbox.name, row.uid)
        for row in evidence.rows
        if row.state == State.EXCLUDED and row.uid_validity == row.mailbox.uid_validity
    }
    lost = len(on_server - known)
    if not on_server:
        lost = sum(not letter.is_removed for letter in letters)
    words = f"{name}: on the server and in no row" if on_server else f"{name}: gone"
    return ImportOutcome(lost=lost, findings=(words,) * bool(lost))


def _server(evidence: Evidence, digest: bytes, letters: Sequence[Letter]) -> ImportOutcome:
    """I2 and I3: what is gone from the server we deleted, once imported, or a colleague removed; the rest is
    as they left it.
    """
    copies = [copy for copy in evidence.copies if copy.digest == digest]
    deleted, name = evidence.deleted(digest), digest.hex()[:8]
    if any(letter.is_touched for letter in letters):
        here = [letter for letter in letters if not letter.is_removed]
        is_missing = bool(here) and not copies and not deleted
        words = (f"{name}: moved by a colleague, and gone",) * is_missing
        return ImportOutcome(lost=int(is_missing), foreign=int(is_missing), findings=words)
    missing = len(letters) - deleted - len(copies)
    if missing > 0:
        words = (f"{name}: {len(letters)} delivered, {deleted} deleted, {len(copies)} on the server",)
        return ImportOutcome(foreign=missing, findings=words)
    # Flagged by us and renumbered before the expunge: kept from then on, flag and all.
    ours = {r"\Deleted"} if any(evidence.was_renumbered(row) for row in evidence.rows_of(digest)) else set()
    wanted = Counter((letter.folder, letter.flags - ours) for letter in letters)
    changed = Counter((copy.folder, copy.flags - ours) for copy in copies) - wanted
    return ImportOutcome(
        foreign=changed.total(),
        findings=tuple(f"{name}: {sorted(flags)} in {folder}" for folder, flags in changed),
    )


def _unfinished(evidence: Evidence) -> Iterator[str]:
    deletes = TicketOptions.objects.get(account=evidence.account).deletes_on_server
    marked = {copy.folder for copy in evidence.copies if r"\Deleted" in copy.flags}
    hindered = set() if evidence.mailbox.has_uidplus else marked
    for row in evidence.rows:
        if row.state in IncomingMessage.UNFINISHED:
            yield f"row {row.pk} stays {row.state}"
        is_due = row.state == State.IMPORTED and row.server_copy in IncomingMessage.ON_SERVER
        is_valid = row.uid_validity == row.mailbox.uid_validity
        if deletes and is_due and is_valid and row.mailbox.name not in hindered:
            yield f"row {row.pk} is imported and stays {row.server_copy}"
        if row.server_copy == ServerCopy.DELETED and row.state != State.IMPORTED:
            yield f"row {row.pk} is {row.state} and was deleted on the server"


def _unbalanced(evidence: Evidence) -> Iterator[str]:
    """What lies on the server stands in the ledger as lying there, and nothing else does."""
    known = {
        (row.mailbox.name, row.uid)
        for row in evidence.rows
        if row.server_copy in IncomingMessage.ON_SERVER and row.uid_validity == row.mailbox.uid_validity
    }
    there = {(copy.folder, copy.uid) for copy in evidence.copies}
    yield from (f"{place} is on the server, and the ledger does not say so" for place in there - known)
    yield from (f"{place} is not on the server, and the ledger says so" for place in known - there)


def _strange_rows(evidence: Evidence, delivered: Iterable[bytes]) -> Iterator[str]:
    known = set(delivered)
    places = Counter((row.mailbox.name, row.uid_validity, row.uid) for row in evidence.rows)
    yield from (f"{count} rows for {place}" for place, count in places.items() if count > 1)
    for row in evidence.rows:
        if row.raw_id and evidence.digests[row.raw_id] not in known:
            yield f"row {row.pk} holds bytes that nobody delivered"
    for raw in RawMail.objects.filter(pk__in=evidence.digests).only("sha256"):
        if bytes(raw.sha256) != evidence.digests[raw.pk]:
            yield f"raw mail {raw.pk} does not hash to its SHA-256"


def _orphans(evidence: Evidence) -> Iterator[str]:
    account = evidence.account
    messages = TicketMessage.objects.filter(ticket__account=account, kind=TicketMessage.Kind.INCOMING)
    for message in messages.filter(ledger_rows=None):
        yield f"ticket message {message.pk} has no row"
    for ticket in account.tickets.filter(messages=None):
        yield f"ticket {ticket.pk} is empty"


def _wrong_answers(account: MailAccount) -> Iterator[str]:
    """One decision a message, one answer a sender and day, each queued once."""
    decisions = AutoReply.objects.filter(account=account)
    if not hasattr(account, "autoresponder"):
        if decisions.exists():
            yield "answered without an autoresponder"
        return
    for row in IncomingMessage.objects.filter(account=account, state=State.IMPORTED, auto_reply=None):
        yield f"row {row.pk}: nothing decided about an answer"
    senders = Counter(decisions.filter(is_sent=True).values_list("sender", flat=True))
    yield from (f"{sender} was answered {count} times" for sender, count in senders.items() if count > 1)
    outgoing = OutgoingMessage.objects.filter(account=account, purpose=OutgoingMessage.Purpose.AUTO_REPLY)
    queued, sent = outgoing.count(), decisions.filter(is_sent=True, outgoing__isnull=False).count()
    if queued != sent or queued != outgoing.filter(auto_replies__isnull=False).distinct().count():
        yield f"{queued} answers queued for {sent} decisions"
