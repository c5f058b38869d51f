"""One dialogue with an IMAP server (RFC 3501), careful in both directions.

The mailbox belongs to other people: reading is EXAMINE and BODY.PEEK[], deleting is UID EXPUNGE of exactly
the UIDs asked for, and CLOSE, which expunges everything that anybody flagged, is never sent. The server may
be hostile: its answers are bounded in bytes and seconds, and only what was asked for is believed.
"""

from __future__ import annotations

import imaplib
import re
import ssl
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from imapclient.exceptions import ProtocolError

from mailkit.arguments import reject_controls
from mailkit.endpoint import Endpoint, PasswordLogin, connect
from mailkit.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ConnectionLost,
    InvalidArgument,
    MailboxUnavailable,
    MailError,
    ProtocolViolation,
    TlsFailed,
    UidValidityChanged,
)
from mailkit.imap_errors import login_error, mailbox_error
from mailkit.imap_fetch import LARGEST_UID, MessageMeta, RawMessage, internal_date, is_uid, read_fetch
from mailkit.imap_folders import Folder, encode_folder_name, read_folders
from mailkit.imap_transport import GuardedClient, ResponseLimits
from mailkit.network import ascii_host
from mailkit.redaction import redact
from mailkit.tls import certificate_facts

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
_SAFE_MESSAGE_ID = re.compile(r"<?[!#-\[\]-~]{1,250}>?\Z")
_SAFE_FLAG = re.compile(r"\\?[!#$&'+,./0-9:;<=>?@A-Z^_`a-z|~-]+\Z")
_APPENDUID = re.compile(r"\[APPENDUID \d+ (\d{1,10})\]")
_UIDS_A_COMMAND = 500

_OPENING = ResponseLimits(seconds=28.0, line=65_536, literal=0, total=262_144)
_ORDINARY = ResponseLimits()
_SEARCHING = ResponseLimits(line=4_194_304, total=8_388_608)
_LEAVING = ResponseLimits(seconds=5.0)
_SLOWEST_BYTES_PER_SECOND = 32_768
# RFC822.SIZE is an estimate on some servers (Exchange): allow half as much again, and a little for small
# mails.
_SIZE_SLACK_BYTES = 262_144

# What imapclient's and imaplib's parsers raise at nonsense, besides their own errors.
_PARSER_ERRORS = (ValueError, TypeError, LookupError, AttributeError, RecursionError, AssertionError)


@dataclass(frozen=True)
class FolderStatus:
    """A folder's numbers: UIDVALIDITY, UIDNEXT and how many messages it holds."""

    uid_validity: int
    uid_next: int
    messages: int


class ImapSession:
    """A logged-in connection, to be used in a ``with`` statement.

    Every method raises ConnectionFailed (or a subclass; the session is over then) when the dialogue breaks,
    and MailboxUnavailable when the server says no: code ``no-such-folder``, ``over-quota``, ``read-only``,
    ``unavailable`` where recognisable.
    """

    def __init__(self, client: GuardedClient) -> None:
        """Use ``ImapSession.open``."""
        self._client = client
        self._engine = client.engine
        self._selected: FolderStatus | None = None
        self._selected_folder = ""
        self._is_writable = False

    @classmethod
    def open(cls, endpoint: ImapEndpoint, login: PasswordLogin) -> Self:
        """Connect, secure as ``endpoint.security`` demands, and log in, all within a minute.

        Raises ConnectionFailed and its kin, and AuthenticationFailed (codes: ``imap_errors.login_error``).
        No byte of the login is sent before a verified TLS connection stands, except to a plaintext network.
        """
        sock = connect(endpoint)
        with _translated():
            try:
                client = GuardedClient(sock, ascii_host(endpoint.host), endpoint, _OPENING)
            except BaseException:
                sock.close()
                raise
        session = cls(client)
        try:
            session._prepare(endpoint)
            session._log_in(login)
        except BaseException:
            session._abandon()
            raise
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.logout()

    # -- opening
    # ---------------------------------------------------------------------------------------------------

    def _prepare(self, endpoint: ImapEndpoint) -> None:
        if self._engine.state != "NONAUTH":
            # PREAUTH forbids STARTTLS and logs in as whom? A stripper's trick (CVE-2026-42246).
            raise ProtocolViolation("the server logged us in unasked", code="preauth_refused")
        if endpoint.security == "starttls":
            with _translated():
                self._engine.upgrade()
            if isinstance(self._engine.sock, ssl.SSLSocket):
                endpoint.on_stage("encrypted", certificate_facts(self._engine.sock))
        if endpoint.security != "none" and not isinstance(self._engine.sock, ssl.SSLSocket):
            raise TlsFailed("the connection is not encrypted")

    def _log_in(self, login: PasswordLogin) -> None:
        self._engine.stream.begin(_OPENING)
        capabilities = self.capabilities()
        try:
            with self._dialogue(_OPENING):
                if "AUTH=PLAIN" in capabilities:
                    self._client.sasl_login("PLAIN", _say_once(f"\0{login.username}\0{login.password}"))
                elif "LOGINDISABLED" in capabilities:
                    raise AuthenticationFailed("the server offers no password login", code="login-disabled")
                else:
                    self._engine.login(_quote_ascii(login.username), _ascii(login.password))
        except MailboxUnavailable as refusal:
            # Some servers echo what they were sent.
            raise login_error(redact(refusal.detail, [login.password])) from None

    # -- looking
    # ---------------------------------------------------------------------------------------------------

    def capabilities(self) -> frozenset[str]:
        """Return what the server offers, in upper case; after the login what it offers to this user."""
        with self._dialogue(_ORDINARY):
            return frozenset(c.decode("ascii", "replace").upper() for c in self._client.capabilities())

    def list_folders(self) -> list[Folder]:
        """Return all folders but those with hostile or broken names, which are logged (B88)."""
        with self._dialogue(_ORDINARY):
            rows = self._client.list_folders()
        return read_folders(rows)

    def examine(self, folder: str) -> FolderStatus:
        """Open ``folder`` for reading only (EXAMINE): nothing done afterwards changes a flag."""
        return self._open_folder(folder, writable=False)

    def select(self, folder: str) -> FolderStatus:
        """Open ``folder`` for deleting (SELECT).

        Raises MailboxUnavailable ``read-only`` where the rights are missing.
        """
        return self._open_folder(folder, writable=True)

    def status(self, folder: str) -> FolderStatus:
        """Return the numbers of ``folder`` without opening it (STATUS)."""
        name = encode_folder_name(folder)
        with self._dialogue(_ORDINARY):
            found = self._client.folder_status(name, ["MESSAGES", "UIDNEXT", "UIDVALIDITY"])
        return _read_status({key.upper(): value for key, value in found.items()}, messages=b"MESSAGES")

    def _open_folder(self, folder: str, *, writable: bool) -> FolderStatus:
        name = encode_folder_name(folder)
        self._selected = None
        with self._dialogue(_ORDINARY):
            found = self._client.select_folder(name, readonly=not writable)
        if b"UIDNEXT" not in found:  # RFC 3501 lets old servers leave it out
            found[b"UIDNEXT"] = self.status(folder).uid_next
        self._selected = _read_status(found, messages=b"EXISTS")
        self._selected_folder, self._is_writable = folder, writable
        return self._selected

    def uids_from(self, first_uid: int, since: date | None = None) -> list[int]:
        """Return the UIDs ≥ ``first_uid`` in ascending order.

        With ``since`` those that arrived on that day or later.

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
            typ, data = self._engine.uid("SEARCH", *criteria)
            _expect_ok(typ, data)
            return _read_uids(data)

    # -- reading
    # ---------------------------------------------------------------------------------------------------

    def fetch_metadata(self, uids: Sequence[int]) -> list[MessageMeta]:
        """Return date of arrival and size of each of ``uids`` that still exists, in ascending order."""
        messages: dict[int, dict[bytes, Any]] = {}
        for some in _slices(uids):
            messages |= self._fetch(some, "(INTERNALDATE RFC822.SIZE)", _ORDINARY)
        return [
            MessageMeta(uid, internal_date(attributes), size)
            for uid, attributes in sorted(messages.items())
            if isinstance(size := attributes.get(b"RFC822.SIZE"), int)
        ]

    def fetch_raw(self, uids: Sequence[int], sizes: Mapping[int, int]) -> Iterator[RawMessage]:
        """Yield the whole of each of ``uids`` that still exists.

        ``sizes`` are those of ``fetch_metadata``, in bytes.

        One command, so the caller cuts batches (50 mails and 8 MB are good). Nothing is yielded unless the
        whole answer arrived; a message far larger than its announced size is a ProtocolViolation (T15).
        """
        allowed = {uid: min(_allowance(sizes.get(uid, 0)), LARGEST_MESSAGE_BYTES) for uid in uids}
        if not allowed:
            return
        limits = ResponseLimits(
            literal=max(allowed.values()),
            total=sum(allowed.values()) + _ORDINARY.total,
            bytes_per_second=_SLOWEST_BYTES_PER_SECOND,
        )
        messages = self._fetch(uids, "(INTERNALDATE BODY.PEEK[])", limits)
        for uid in sorted(messages):
            attributes = messages.pop(uid)
            content = attributes.get(b"BODY[]")
            if isinstance(content, bytes):
                if len(content) > allowed[uid]:
                    raise self._violated("a message larger than announced", "literal_too_large")
                yield RawMessage(uid, internal_date(attributes), len(content), content)

    def _fetch(self, uids: Sequence[int], items: str, limits: ResponseLimits) -> dict[int, dict[bytes, Any]]:
        if not uids:
            return {}
        with self._dialogue(limits):
            self._engine.untagged_responses.pop("FETCH", None)
            typ, data = self._engine.uid("FETCH", uid_set(uids), items)
            _expect_ok(typ, data)
            return read_fetch(data, set(uids))

    # -- writing
    # ---------------------------------------------------------------------------------------------------

    def append(
        self, folder: str, raw: bytes, *, flags: Iterable[str] = (), internal_date: datetime | None = None
    ) -> int | None:
        """Add a message to ``folder``; return its UID where the server tells it (UIDPLUS, RFC 4315).

        ``raw`` has CRLF line ends; ``flags`` are such as ``\\Seen``. Raises MailboxUnavailable:
        ``over-quota``, ``no-such-folder`` (the caller may ask its user), ``read-only``.
        """
        wanted = [_flag(flag) for flag in flags]
        name = encode_folder_name(folder)
        with self._dialogue(_ORDINARY):
            reply = self._client.append(name, raw, wanted, internal_date)
        match = _APPENDUID.search(_words([reply]))
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
        for some in _slices(uids):
            if "UIDPLUS" in self.capabilities():
                self._store("+FLAGS.SILENT", some)
                self._check_uid_validity(expected_uid_validity)
                self._command_by_uid("EXPUNGE", uid_set(some))
            else:
                self._delete_without_uidplus(some, expected_uid_validity)

    def _delete_without_uidplus(self, uids: Sequence[int], expected_uid_validity: int) -> None:
        flagged_before = set(self._search("DELETED"))
        _refuse_foreign(flagged_before - set(uids))
        self._store("+FLAGS.SILENT", uids)
        try:
            self._check_uid_validity(expected_uid_validity)
            _refuse_foreign(set(self._search("DELETED")) - set(uids))
        except MailboxUnavailable:
            self._store("-FLAGS.SILENT", sorted(set(uids) - flagged_before))
            raise
        with self._dialogue(_ORDINARY):
            typ, data = self._engine.expunge()
            _expect_ok(typ, data)

    def _check_uid_validity(self, expected: int) -> None:
        """Compare with what SELECT said, and with what the server may have said since (RFC 3501 §7.1)."""
        announced = self._engine.untagged_responses.pop("UIDVALIDITY", None)
        current = self._selected.uid_validity if self._selected else 0
        if announced:
            current = int(_words(announced)) if _words(announced).isdigit() else 0
        if current != expected:
            self._selected = None
            raise UidValidityChanged(f"{current} instead of {expected}")

    def _store(self, action: str, uids: Sequence[int]) -> None:
        if uids:
            self._command_by_uid("STORE", uid_set(uids), action, r"(\Deleted)")

    def _command_by_uid(self, command: str, *arguments: str) -> None:
        with self._dialogue(_ORDINARY):
            typ, data = self._engine._simple_command("UID", command, *arguments)
            _expect_ok(typ, data)

    # -- leaving
    # ---------------------------------------------------------------------------------------------------

    def unselect(self) -> None:
        """Leave the folder without expunging: UNSELECT (RFC 3691), else by re-opening it read-only."""
        if self._selected is None:
            return
        if "UNSELECT" in self.capabilities():
            with self._dialogue(_ORDINARY):
                self._client.unselect_folder()
        elif self._is_writable:
            self.examine(self._selected_folder)
        self._selected, self._is_writable = None, False

    def noop(self) -> None:
        """Keep the connection alive."""
        with self._dialogue(_ORDINARY):
            typ, data = self._engine.noop()
            _expect_ok(typ, data)

    def logout(self) -> None:
        """Say goodbye and close. Never raises: there is nothing left to lose."""
        try:
            with self._dialogue(_LEAVING):
                self._engine.logout()
        except MailError:
            pass  # the connection was gone or the server impolite
        finally:
            self._abandon()

    def _abandon(self) -> None:
        self._selected = None
        self._engine.state = "LOGOUT"
        self._engine.stream.close()

    def _violated(self, detail: str, code: str) -> ProtocolViolation:
        self._abandon()
        return ProtocolViolation(detail, code=code)

    @contextmanager
    def _dialogue(self, limits: ResponseLimits) -> Iterator[None]:
        if self._engine.state == "LOGOUT":
            raise ConnectionLost("the session is over")
        self._engine.stream.begin(limits)
        try:
            with _translated():
                yield
        except ConnectionFailed:
            self._abandon()
            raise


@contextmanager
def _translated() -> Iterator[None]:
    """Let nothing but our own errors out.

    Without ``from``: the original may quote the server quoting a password.
    """
    try:
        yield
    except MailError:
        raise
    except imaplib.IMAP4.readonly as error:
        raise MailboxUnavailable(str(error), code="read-only") from None
    except imaplib.IMAP4.abort as error:
        raise _broken(str(error)) from None
    except ProtocolError as error:
        raise ProtocolViolation(str(error)) from None
    except imaplib.IMAP4.error as error:
        raise _refused(_words(list(error.args))) from None
    except _PARSER_ERRORS as error:
        raise ProtocolViolation(f"unreadable answer ({type(error).__name__})") from None


def _broken(words: str) -> ConnectionFailed:
    """Translate imaplib's abort: either it could not read an answer, or the server said BYE."""
    if "unexpected" in words:
        return ProtocolViolation(words)
    return ConnectionLost(words)


def _refused(words: str) -> MailError:
    if "BYE" in words[:10]:
        return ConnectionLost(words, code="server_unavailable")
    if "command error: BAD" in words or "illegal in state" in words or "not IMAP4" in words:
        return ProtocolViolation(words)
    return mailbox_error(words)


def _words(data: Sequence[Any]) -> str:
    last = data[-1] if data else b""
    return last.decode("utf-8", "replace") if isinstance(last, bytes) else str(last or "")


def _expect_ok(typ: str, data: Sequence[Any]) -> None:
    if typ != "OK":
        raise mailbox_error(_words(data))


def _say_once(secret: str) -> Any:
    """Return a SASL responder that answers the first challenge only.

    A second one ends the exchange (trap 2).
    """
    answers = [secret]
    return lambda _challenge: answers.pop() if answers else None


def _ascii(text: str) -> str:
    if not text.isascii():
        raise InvalidArgument("this server's login takes ASCII only")
    return text


def _quote_ascii(text: str) -> str:
    return '"' + _ascii(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _flag(flag: str) -> str:
    if not _SAFE_FLAG.match(reject_controls(flag, "A flag")):
        raise InvalidArgument("not a flag")
    return flag


def _read_status(found: Mapping[bytes, Any], *, messages: bytes) -> FolderStatus:
    validity, uid_next, count = found.get(b"UIDVALIDITY"), found.get(b"UIDNEXT"), found.get(messages)
    if not is_uid(validity):
        raise MailboxUnavailable("the folder has no lasting message numbers", code="no-uid-validity")
    if (
        not isinstance(uid_next, int)
        or not isinstance(count, int)
        or not 1 <= uid_next <= LARGEST_UID + 1
        or count < 0
    ):
        raise ProtocolViolation("impossible folder numbers")
    return FolderStatus(uid_validity=int(validity or 0), uid_next=uid_next, messages=count)


def _read_uids(data: Iterable[Any]) -> list[int]:
    """Read SEARCH lines; an array in between, because a list of tokens costs twenty times the line."""
    uids = array("Q")
    for line in data:
        if isinstance(line, bytes):
            uids.extend(int(m.group()) for m in re.finditer(rb"(?<![^ ])[0-9]{1,10}(?![^ ])", line))
    return sorted({uid for uid in uids if is_uid(uid)})


def _allowance(size: int) -> int:
    return size + size // 2 + _SIZE_SLACK_BYTES


def _slices(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(uids), _UIDS_A_COMMAND):
        yield uids[start : start + _UIDS_A_COMMAND]


def _refuse_foreign(foreign: set[int]) -> None:
    if foreign:
        raise MailboxUnavailable(
            f"{len(foreign)} messages deleted by others", code="no-uidplus-foreign-deleted"
        )


def uid_set(uids: Iterable[int]) -> str:
    """Return ``uids`` as a sequence-set of RFC 3501 §9: ``1:3,7``.

    Raises InvalidArgument at an impossible UID.
    """
    ranges: list[list[int]] = []
    for uid in sorted(set(uids)):
        if not is_uid(uid):
            raise InvalidArgument("not a UID")
        if ranges and ranges[-1][1] == uid - 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in ranges)
