"""One dialogue with an IMAP server (RFC 3501), careful in both directions.

The mailbox belongs to other people: reading is EXAMINE and BODY.PEEK[], deleting is UID EXPUNGE of exactly
the UIDs asked for, and CLOSE, which expunges everything that anybody flagged, is never sent. The server may
be hostile: its answers are bounded in bytes and seconds, and only what was asked for is believed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeGuard

from mailkit.arguments import reject_controls
from mailkit.endpoint import Endpoint, PasswordLogin
from mailkit.errors import InvalidArgument, MailboxUnavailable, ProtocolViolation, UidValidityChanged
from mailkit.idle import IdlingDialogue
from mailkit.imap_dialogue import ORDINARY, expect_ok, words_of
from mailkit.imap_fetch import MessageMeta, RawMessage, internal_date_of, read_fetch
from mailkit.imap_folders import Folder, encode_folder_name, read_folders
from mailkit.imap_transport import GuardedClient, ResponseLimits
from mailkit.imap_uids import LARGEST_UID, is_uid, read_uids, slices, uid_set

__all__ = [
    "Folder",
    "FolderStatus",
    "ImapEndpoint",
    "ImapSession",
    "MessageMeta",
    "PasswordLogin",
    "RawMessage",
]

ImapEndpoint = Endpoint
LARGEST_MESSAGE_BYTES = 67_108_864

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SAFE_MESSAGE_ID = re.compile(r"<?[!#-;=?-\[\]-~]{1,250}>?\Z")
_SAFE_FLAG = re.compile(r"\\?[!#$&'+,./0-9:;<=>?@A-Z^_`a-z|~-]+\Z")
_APPENDUID = re.compile(r"\[APPENDUID \d+ (\d{1,10})\]")

# What an integer column holds; the mail is far beyond every limit anyway.
_LARGEST_SIZE = 2**31 - 1
_SEARCHING = ResponseLimits(line=4_194_304, total=8_388_608)
_SLOWEST_BYTES_PER_SECOND = 32_768
# RFC822.SIZE is an estimate on some servers (Exchange): allow half as much again, and a little for small
# mails.
_SIZE_SLACK_BYTES = 262_144


@dataclass(frozen=True)
class FolderStatus:
    """A folder's numbers: UIDVALIDITY, UIDNEXT and how many messages it holds."""

    uid_validity: int
    uid_next: int
    messages: int


class ImapSession(IdlingDialogue):
    """A logged-in connection, to be used in a ``with`` statement.

    Every method raises ConnectionFailed (or a subclass; the session is over then) when the dialogue breaks,
    and MailboxUnavailable when the server says no: code ``no-such-folder``, ``over-quota``, ``read-only``,
    ``unavailable`` where recognisable.
    """

    def __init__(self, client: GuardedClient) -> None:
        """Use ``ImapSession.open``."""
        super().__init__(client)
        self._selected: FolderStatus | None = None
        self._selected_folder = ""
        self._is_writable = False

    def list_folders(self) -> list[Folder]:
        """Return all folders but those with hostile or broken names, which are logged (B88)."""
        with self._dialogue(ORDINARY):
            rows = self._client.list_folders()
        return read_folders(rows)

    def examine(self, folder: str) -> FolderStatus:
        """Open ``folder`` for reading only (EXAMINE): nothing done afterwards changes a flag."""
        return self._open_folder(folder, writable=False)

    def select(self, folder: str) -> FolderStatus:
        """Open ``folder`` for deleting (SELECT). Raises MailboxUnavailable ``read-only`` where we may not."""
        return self._open_folder(folder, writable=True)

    def status(self, folder: str) -> FolderStatus:
        """Return the numbers of ``folder`` without opening it (STATUS)."""
        name = encode_folder_name(folder)
        with self._dialogue(ORDINARY):
            found = self._client.folder_status(name, ["MESSAGES", "UIDNEXT", "UIDVALIDITY"])
        return _read_status({key.upper(): value for key, value in found.items()}, messages=b"MESSAGES")

    def _open_folder(self, folder: str, *, writable: bool) -> FolderStatus:
        name = encode_folder_name(folder)
        self._selected = None
        try:
            with self._dialogue(ORDINARY):
                found = self._client.select_folder(name, readonly=not writable)
        finally:
            # imaplib would refuse every later command over a READ-ONLY that we did not ask for.
            self._engine.untagged_responses.pop("READ-ONLY", None)
        if b"UIDNEXT" not in found:  # RFC 3501 lets old servers leave it out
            found[b"UIDNEXT"] = self.status(folder).uid_next
        self._selected = _read_status(found, messages=b"EXISTS")
        self._selected_folder, self._is_writable = folder, writable
        return self._selected

    def uids_from(self, first_uid: int, since: date | None = None) -> list[int]:
        """Return the UIDs ≥ ``first_uid``, ascending; with ``since`` those that arrived on that day or later.

        The server compares days in a time zone of its own, so it is asked for one day more (R20): the caller
        compares INTERNALDATE itself.
        """
        criteria = [f"UID {first_uid}:*"]
        if since is not None:
            day = since - timedelta(days=1)
            criteria += ["SINCE", f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}"]
        # "n:*" holds the last message even where its UID is below n (RFC 3501 §6.4.8).
        return [uid for uid in self._search(*criteria) if uid >= first_uid]

    def find_by_message_id(self, message_id: str) -> list[int]:
        """Return the UIDs whose Message-ID is ``message_id``, for ids that we made ourselves.

        Anything but at most 250 printable ASCII characters without quotes, backslashes and spaces raises
        InvalidArgument: an id out of a mail may hold a whole command (B72) and never comes here.
        """
        if not _SAFE_MESSAGE_ID.match(message_id):
            raise InvalidArgument("not a Message-ID that may be searched for")
        return self._search("HEADER", "Message-ID", f'"<{message_id.strip("<>")}>"')

    def _search(self, *criteria: str) -> list[int]:
        with self._dialogue(_SEARCHING):
            self._engine.untagged_responses.pop("SEARCH", None)
            return read_uids(expect_ok(*self._engine.uid("SEARCH", *criteria)))

    def fetch_metadata(self, uids: Sequence[int]) -> list[MessageMeta]:
        """Return date of arrival and size of each of ``uids`` that still exists, in ascending order."""
        messages: dict[int, dict[bytes, Any]] = {}
        for some in slices(uids):
            messages |= self._fetch(some, "(INTERNALDATE RFC822.SIZE)", ORDINARY)
        return [
            MessageMeta(uid, internal_date_of(attributes), min(size, _LARGEST_SIZE))
            for uid, attributes in sorted(messages.items())
            if isinstance(size := attributes.get(b"RFC822.SIZE"), int)
        ]

    def fetch_raw(self, uids: Sequence[int], sizes: Mapping[int, int]) -> Iterator[RawMessage]:
        """Yield the whole of each of ``uids`` that still exists; ``sizes`` (bytes) are ``fetch_metadata``'s.

        One command, so the caller cuts batches (50 mails and 8 MB are good) and leaves out what exceeds
        ``LARGEST_MESSAGE_BYTES`` (InvalidArgument). Nothing is yielded unless the whole answer arrived; a
        message far larger than its announced size is a ProtocolViolation (T15).
        """
        if not uids:
            return
        allowed = {uid: _allowance(sizes[uid]) for uid in uids}
        messages = self._fetch(uids, "(INTERNALDATE BODY.PEEK[])", _fetching(allowed.values()))
        for uid in sorted(messages):
            attributes = messages.pop(uid)
            content = attributes.get(b"BODY[]")
            if isinstance(content, bytes):
                self._check_size(content, allowed[uid])
                yield RawMessage(uid, internal_date_of(attributes), len(content), content)

    def _check_size(self, content: bytes, allowed: int) -> None:
        if len(content) > allowed:
            self._abandon()
            raise ProtocolViolation("a message larger than announced", code="literal_too_large")

    def _fetch(self, uids: Sequence[int], items: str, limits: ResponseLimits) -> dict[int, dict[bytes, Any]]:
        if not uids:
            return {}
        with self._dialogue(limits):
            self._engine.untagged_responses.pop("FETCH", None)
            return read_fetch(expect_ok(*self._engine.uid("FETCH", uid_set(uids), items)), set(uids))

    def append(
        self, folder: str, raw: bytes, *, flags: Iterable[str] = (), internal_date: datetime | None = None
    ) -> int | None:
        """Add a message to ``folder``; return its UID where the server tells it (UIDPLUS, RFC 4315).

        ``raw`` has CRLF line ends; ``flags`` are such as ``\\Seen``. Raises MailboxUnavailable:
        ``over-quota``, ``no-such-folder`` (the caller may ask its user), ``read-only``.
        """
        wanted = [_flag(flag) for flag in flags]
        name = encode_folder_name(folder)
        with self._dialogue(_uploading(len(raw))):
            reply = self._client.append(name, raw, wanted, internal_date)
        match = _APPENDUID.search(words_of([reply]))
        return int(match.group(1)) if match else None

    def delete(self, uids: Sequence[int], *, expected_uid_validity: int) -> None:
        """Remove exactly ``uids`` from the selected folder, for good.

        With UIDPLUS: UID STORE, then UID EXPUNGE. Without it a plain EXPUNGE would take along what others
        flagged as deleted: where there is such mail, MailboxUnavailable ``no-uidplus-foreign-deleted`` is
        raised and our flags are taken back (R15). Between that check and the EXPUNGE a moment remains that
        IMAP4rev1 cannot close. Raises UidValidityChanged before anything is touched (R14), InvalidArgument
        without a ``select`` before.
        """
        if self._selected is None or not self._is_writable:
            raise InvalidArgument("select the folder before deleting")
        self._check_uid_validity(expected_uid_validity)
        if "UIDPLUS" not in self.capabilities():
            self._delete_without_uidplus(uids, expected_uid_validity)
            return
        self._store("+FLAGS.SILENT", uids)
        self._check_uid_validity(expected_uid_validity)
        for some in slices(uids):
            self._command_by_uid("EXPUNGE", uid_set(some))

    def _delete_without_uidplus(self, uids: Sequence[int], expected_uid_validity: int) -> None:
        flagged_before = set(self._search("DELETED"))
        _refuse_foreign(flagged_before - set(uids))
        self._store("+FLAGS.SILENT", uids)
        self._check_uid_validity(expected_uid_validity)
        try:
            _refuse_foreign(set(self._search("DELETED")) - set(uids))
        except MailboxUnavailable:
            self._store("-FLAGS.SILENT", sorted(set(uids) - flagged_before))
            raise
        with self._dialogue(ORDINARY):
            expect_ok(*self._engine.expunge())

    def _check_uid_validity(self, expected: int) -> None:
        """Compare with what SELECT said, and with what the server may have said since (RFC 3501 §7.1)."""
        announced = self._engine.untagged_responses.pop("UIDVALIDITY", None)
        current = self._selected.uid_validity if self._selected else 0
        if announced:
            current = int(words_of(announced)) if words_of(announced).isdigit() else 0
        if current != expected:
            self._selected = None
            raise UidValidityChanged(f"{current} instead of {expected}")

    def _store(self, action: str, uids: Sequence[int]) -> None:
        for some in slices(uids):
            self._command_by_uid("STORE", uid_set(some), action, r"(\Deleted)")

    def _command_by_uid(self, command: str, *arguments: str) -> None:
        with self._dialogue(ORDINARY):
            expect_ok(*self._engine.uid(command, *arguments))

    def unselect(self) -> None:
        """Leave the folder without expunging: UNSELECT (RFC 3691), else by re-opening it read-only."""
        if self._selected is None:
            return
        if "UNSELECT" in self.capabilities():
            with self._dialogue(ORDINARY):
                self._client.unselect_folder()
        elif self._is_writable:
            self.examine(self._selected_folder)
        self._selected, self._is_writable = None, False


def _flag(flag: str) -> str:
    if not _SAFE_FLAG.match(reject_controls(flag, "A flag")):
        raise InvalidArgument("not a flag")
    return flag


def _read_status(found: Mapping[bytes, Any], *, messages: bytes) -> FolderStatus:
    validity, uid_next, count = found.get(b"UIDVALIDITY"), found.get(b"UIDNEXT"), found.get(messages)
    if not is_uid(validity):
        raise MailboxUnavailable("the folder has no lasting message numbers", code="no-uid-validity")
    if uid_next and _is_number(validity) and _is_number(uid_next) and _is_number(count):
        return FolderStatus(uid_validity=validity, uid_next=uid_next, messages=count)
    raise ProtocolViolation("impossible folder numbers")


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value <= LARGEST_UID + 1


def _allowance(size: int) -> int:
    if size > LARGEST_MESSAGE_BYTES:
        raise InvalidArgument("a message too large to fetch")
    return size + size // 2 + _SIZE_SLACK_BYTES


def _fetching(allowed: Collection[int]) -> ResponseLimits:
    return ResponseLimits(
        literal=max(allowed),
        total=sum(allowed) + ORDINARY.total,
        bytes_per_second=_SLOWEST_BYTES_PER_SECOND,
    )


def _uploading(size: int) -> ResponseLimits:
    return replace(ORDINARY, seconds=ORDINARY.seconds + size / _SLOWEST_BYTES_PER_SECOND)


def _refuse_foreign(foreign: set[int]) -> None:
    if foreign:
        raise MailboxUnavailable(
            f"{len(foreign)} messages deleted by others", code="no-uidplus-foreign-deleted"
        )
