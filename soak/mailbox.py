"""A mailbox on a real server as the harness knows it: what was put there, and what colleagues did with it."""

from __future__ import annotations

import hashlib
import imaplib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from soak.mails import Letter
from tests.servers import Dovecot

_LONG_AGO: Final = '"01-Feb-2020 10:00:00 +0100"'
_APPENDED: Final = re.compile(rb"APPENDUID \d+ (\d+)")
_UID: Final = re.compile(rb"UID (\d+)")


@dataclass(frozen=True, slots=True)
class Copy:
    """A message on the server, as a client of its own reads it."""

    folder: str
    uid: int
    digest: bytes
    flags: frozenset[str]


class Mailbox:
    """Everything the harness itself does with the mailbox; it never goes through the product.

    ``has_uidplus``: whether the server offers to expunge by UID.
    """

    def __init__(self, server: Dovecot, folders: Sequence[str], *, has_uidplus: bool) -> None:
        self.server, self.folders, self.has_uidplus = server, folders, has_uidplus
        self.user = server.new_user()
        self.letters: list[Letter] = []
        with server.rival(self.user) as client:
            for folder in folders:
                client.create(_quoted(folder))

    def deliver(self, letters: Sequence[Letter]) -> None:
        """Put the letters into their folders and note the bytes that a client reads there."""
        for folder in dict.fromkeys(letter.folder for letter in letters):
            with self.server.rival(self.user, _quoted(folder)) as client:
                for letter in letters:
                    if letter.folder == folder:
                        _append(client, letter)
        self.letters += letters

    def read(self) -> list[Copy]:
        """All messages in all folders."""
        found = []
        for folder in self.folders:
            with self.server.rival(self.user, _quoted(folder)) as client:
                found += _copies(client, folder)
        return found

    def renumber(self, folder: str) -> None:
        """Another UIDVALIDITY, UIDs from 1 again (R13)."""
        self.server.new_user()  # its number is part of the next UIDVALIDITY, which must never come twice
        self.server.reset_uid_validity(self.user, folder)

    def work_as_colleague(self, chance: Random) -> str:
        """Read, flag, mark as deleted, move or remove a letter that exists once (R16); say what was done."""
        folder = chance.choice(self.folders)
        single = [
            one
            for one in self.letters
            if one.folder == folder and not (one.is_removed or one.is_repeated or one.is_touched)
        ]
        if not single:
            return "a colleague finds nothing"
        letter, action = (
            chance.choice(single),
            chance.choice(("read", "flag", "mark", "mark", "move", "remove")),
        )
        with self.server.rival(self.user, _quoted(folder)) as client:
            uid = next((one.uid for one in _copies(client, folder) if one.digest == letter.digest), None)
            if uid is None:
                return "a colleague finds the mail gone"
            getattr(self, f"_{action}")(client, str(uid), letter)
        return f"a colleague: {action} {folder}/{uid}"

    def _read(self, client: imaplib.IMAP4, uid: str, letter: Letter) -> None:
        self._flag(client, uid, letter, r"\Seen")

    def _flag(self, client: imaplib.IMAP4, uid: str, letter: Letter, flag: str = r"\Flagged") -> None:
        client.uid("STORE", uid, "+FLAGS", f"({flag})")
        letter.flags |= {flag}

    def _mark(self, client: imaplib.IMAP4, uid: str, letter: Letter) -> None:
        self._flag(client, uid, letter, r"\Deleted")

    def _move(self, client: imaplib.IMAP4, uid: str, letter: Letter) -> None:
        letter.folder = next((one for one in self.folders if one != letter.folder), letter.folder)
        letter.is_touched = True
        client.uid("MOVE", uid, _quoted(letter.folder))

    def _remove(self, client: imaplib.IMAP4, uid: str, letter: Letter) -> None:
        letter.is_removed = letter.is_touched = True
        client.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
        client.uid("EXPUNGE", uid)


def _quoted(folder: str) -> str:
    return f'"{folder}"'


def _append(client: imaplib.IMAP4, letter: Letter) -> None:
    flags = " ".join(sorted(letter.flags))
    date = _LONG_AGO if letter.is_old else None
    status, answer = client.append(_quoted(letter.folder), f"({flags})", date, letter.content)
    if status != "OK":
        raise RuntimeError(f"the server does not take a mail: {answer!r}")
    uid = _APPENDED.findall(answer[0])[0].decode()
    [(_, content)] = _parts(client.uid("FETCH", uid, "(BODY.PEEK[])"))
    letter.digest = hashlib.sha256(content).digest()


def _copies(client: imaplib.IMAP4, folder: str) -> list[Copy]:
    found = []
    for head, content in _parts(client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[])")):
        if match := _UID.search(head):
            flags = frozenset(flag.decode() for flag in imaplib.ParseFlags(head)) - {r"\Recent"}
            found.append(Copy(folder, int(match[1]), hashlib.sha256(content).digest(), flags))
    return found


def _parts(answer: tuple[str, list[Any]]) -> list[tuple[bytes, bytes]]:
    return [part for part in answer[1] if isinstance(part, tuple)]
