"""Mail of every kind that ends differently, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Final

from fuzz.mutations import corpus, mutated

_LARGEST_DAMAGED: Final = 40_000  # bytes; size is not what these are about
_BOUNCE: Final = (
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    "--b\r\n\r\nYour message could not be delivered.\r\n"
    "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.kunde.example\r\n\r\n"
    "Final-Recipient: rfc822; weg@kunde.example\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n"
)
_WITH_ATTACHMENT: Final = (
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Siehe <b>Anhang</b> {mark}</p>\r\n"
    "--b\r\nContent-Type: application/pdf; name=r.pdf\r\nContent-Disposition: attachment; filename=r.pdf\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n{base64}\r\n--b--\r\n"
)


@dataclass(slots=True)
class Letter:
    """One mail in the mailbox, as the harness knows it.

    ``digest``: SHA-256 of the bytes an IMAP client reads; ``is_old``: arrived years ago; ``is_repeated``:
    there are others with the same bytes; ``is_touched``: a colleague moved it or took it away.
    """

    content: bytes = field(repr=False)
    folder: str = "INBOX"
    is_old: bool = False
    is_repeated: bool = False
    digest: bytes = b""
    flags: frozenset[str] = frozenset()
    is_touched: bool = False
    is_removed: bool = False


class MailWriter:
    """Writes the mails of one scenario."""

    def __init__(self, seed: int, chance: Random) -> None:
        self._seed, self._chance, self._count = seed, chance, 0
        self._ids: list[str] = []
        self._kinds = {
            self._plain: 10, self._with_attachment: 2, self._long: 1, self._same_message_id: 1,
            self._damaged: 2, self._empty: 1, self._bounce: 1, self._automatic: 1,
        }  # fmt: skip

    def write(self) -> bytes:
        """The next mail; never the same twice, the empty one and luck aside."""
        self._count += 1
        [kind] = self._chance.choices(list(self._kinds), list(self._kinds.values()))
        return kind()

    def _plain(self) -> bytes:
        return self._mail(f"\r\nGuten Tag,\r\n\r\nwann kommt die Ware?\r\n{self._mark}\r\n")

    def _with_attachment(self) -> bytes:
        base64 = "\r\n".join(["JVBERi0xLjQK" * 6] * self._chance.randint(1, 40))
        return self._mail(_WITH_ATTACHMENT.format(mark=self._mark, base64=base64))

    def _long(self) -> bytes:
        return self._mail("\r\n" + f"Zeile von {self._mark}\r\n" * self._chance.randint(2_000, 12_000))

    def _same_message_id(self) -> bytes:
        """B70: the Message-ID of another mail, and another body."""
        return self._mail(f"\r\nWeder Antwort noch Kopie: {self._mark}\r\n", repeats_id=True)

    def _damaged(self) -> bytes:
        raw = mutated(_originals(), seed=self._seed, number=self._count)[:_LARGEST_DAMAGED]
        # A server that takes NUL in APPEND would be one of its own (RFC 3501 §9: CHAR8).
        return raw.replace(b"\0", b"") + b"\r\n" + self._mark.encode()

    def _empty(self) -> bytes:
        return b"\r\n"

    def _bounce(self) -> bytes:
        return self._mail(_BOUNCE, "Return-Path: <>")

    def _automatic(self) -> bytes:
        return self._mail(f"\r\nIch bin nicht da. {self._mark}\r\n", "Auto-Submitted: auto-replied")

    def _mail(self, rest: str, *fields: str, repeats_id: bool = False) -> bytes:
        """A mail from one of a few senders; ``rest`` may begin with further fields."""
        sender = f"kunde{self._chance.randint(1, 6)}@s{self._seed}.example"
        if repeats_id and self._ids:
            message_id = self._chance.choice(self._ids)
        else:
            message_id = f"<{self._mark}@s{self._seed}.example>"
            self._ids.append(message_id)
        head = [
            *fields,
            f"From: Kunde <{sender}>",
            "To: info@firma.example",
            f"Subject: Frage {self._mark}",
            f"Message-ID: {message_id}",
            "Date: Tue, 24 Nov 2026 09:00:00 +0100",
            "MIME-Version: 1.0",
        ]
        return ("\r\n".join(head) + "\r\n" + rest).encode()

    @property
    def _mark(self) -> str:
        return f"S{self._seed}-{self._count}"


@cache
def _originals() -> list[bytes]:
    return corpus()
