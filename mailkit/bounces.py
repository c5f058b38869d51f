"""Reports that a message could not be delivered: RFC 3464, and the prose of servers that never read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mailkit.addresses import is_valid
from mailkit.autosubmitted import is_auto_reply, is_system_address
from mailkit.defects import Defects
from mailkit.errors import MalformedMessage, clean_detail
from mailkit.headers import Headers, read_header
from mailkit.parsing import ParsedMessage
from mailkit.threading import message_ids

_STATUS_TYPES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINAL_TYPES: Final = frozenset({
    "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers",
    "message/rfc822-headers",
})  # fmt: skip
_BLANK_LINE: Final = re.compile(rb"\n[ \t]*\r?\n")
_MAX_RECIPIENTS: Final = 100
_MAX_PROSE_CHARS: Final = 20_000
_ENHANCED_STATUS: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY_CODE: Final = re.compile(r"(?<![\d.])([45])\d\d(?=[\s-])")
_ADDRESS: Final = re.compile(
    r"(?<![\w.@+-])([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}[A-Za-z0-9])"
)
_PROSE: Final = re.compile(
    r"undeliver(?:able|ed)|unzustellbar|nicht zugestellt werden|could not be delivered|couldn't be delivered"
    r"|delivery (?:to the following|has failed|failed|failure)|mail delivery (?:failed|system|subsystem)"
    r"|failure notice|returned mail|returning message to sender|qmail-send program|zustellung fehlgeschlagen"
    r"|nachrichtenzustellung|nicht erreicht|did not reach|(?:wasn't|was not) delivered"
    r"|fehlerhafte zustellung|fehler bei der zustellung|permanent (?:fatal )?error|address rejected"
    r"|user unknown|unbekannter empf[äa]nger",
    re.IGNORECASE,
)
# These look at one line each: a run of line ends before a line would be read anew from every one of them.
_ORIGINAL_BELOW: Final = re.compile(
    r"^[>| \t\xa0]*+(?:-{3,} ?(?:below this line|this is a copy|original(?:-| )?(?:message|nachricht|header)"
    r"|the header|returned message|ursprüngliche nachricht|kopie)|message headers follow|reporting-mta:"
    r"|(?:received|return-path|message-id):\s)",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED_ID: Final = re.compile(
    r"^[> \t\xa0]*+(?:original-)?message-id:\s*+(<[^<>\s]{1,998}>)", re.IGNORECASE | re.MULTILINE
)
_QUOTED_TO: Final = re.compile(r"^[> \t\xa0]*+(?:to|an):[^\n]{0,500}", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What became of one recipient (RFC 3464 §2.3).

    ``action`` is failed, delayed, delivered, relayed or expanded; ``status`` an enhanced code of RFC 3463 or
    empty; ``diagnostic`` the remote server's words, one line, safe to store and (escaped) to show.
    """

    address: str
    action: str
    status: str
    diagnostic: str


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report about a message of ours; ``original_message_ids`` are candidates, the surest first."""

    recipients: list[RecipientReport]
    original_message_ids: list[str]

    @property
    def is_failure(self) -> bool:
        """Whether at least one recipient will not get the message; a mere delay is none."""
        return any(report.action == "failed" for report in self.recipients)


def is_bounce(parsed: ParsedMessage) -> bool:
    """Return whether `parse_bounce` recognises a delivery report; receipts and abuse reports are none."""
    return parse_bounce(parsed) is not None


def parse_bounce(parsed: ParsedMessage) -> Bounce | None:
    """Return the delivery report this message is, or None.

    Standard reports are told by their message/delivery-status part. Others must come from a mail system
    (null return path, mailer-daemon …) *and* speak of a failed delivery. Nothing a bounce says is
    authenticated: act on it only for ids that are in our own ledger. Linear time.
    """
    status = next((part for part in parsed.report_parts if part.content_type in _STATUS_TYPES), None)
    if status is not None:
        return Bounce(_status_recipients(status.content), _original_ids(parsed))
    if parsed.content_type == "multipart/report" and parsed.report_type not in {"", "delivery-status"}:
        return None
    return _prose_bounce(parsed) if _reads_like_bounce(parsed) else None


def _status_recipients(content: bytes) -> list[RecipientReport]:
    """Read the per-recipient groups, which blank lines separate; the first group is about the message."""
    reports = []
    for block in _BLANK_LINE.split(content.strip(), maxsplit=_MAX_RECIPIENTS)[:_MAX_RECIPIENTS]:
        fields = _fields(block)
        address = _typed_value(fields, "final-recipient") or _typed_value(fields, "original-recipient")
        if address:
            reports.append(_recipient(fields, address))
    return reports


def _fields(block: bytes) -> Headers:
    try:
        return read_header(block, 0, len(block), Defects())[0]
    except MalformedMessage:
        return Headers([])


def _typed_value(fields: Headers, name: str) -> str:
    """Return the value after the type, as in ``rfc822; anna@kunde.example`` (RFC 3464 §2.1.2)."""
    value = fields.get(name) or ""
    return value.rpartition(";")[2].strip().strip("<>")[:320]


def _recipient(fields: Headers, address: str) -> RecipientReport:
    status = _ENHANCED_STATUS.search(fields.get("status") or "")
    diagnostic = (fields.get("diagnostic-code") or "").partition(";")
    return RecipientReport(
        address=address,
        action=(fields.get("action") or "failed").split("(")[0].strip().lower()[:20],
        status=status[1] if status else "",
        diagnostic=clean_detail((diagnostic[2] or diagnostic[0]).strip()),
    )


def _original_ids(parsed: ParsedMessage) -> list[str]:
    """Return ids named by the returned original, then by the report's own fields, then quoted in its text."""
    originals = [part.content for part in parsed.report_parts if part.content_type in _ORIGINAL_TYPES]
    originals += [a.content for a in parsed.attachments[:10] if a.content_type in _ORIGINAL_TYPES]
    found = [header_id for content in originals for header_id in _own_id(content)]
    for name in ("x-original-message-id", "original-message-id", "in-reply-to"):
        found += message_ids(parsed.headers.raw(name) or "")[:5]
    for quoted in _QUOTED_ID.findall(parsed.text[: 5 * _MAX_PROSE_CHARS])[:10]:
        found += message_ids(quoted)
    return list(dict.fromkeys(found))


def _own_id(content: bytes) -> list[str]:
    return message_ids(_fields(content.lstrip()).raw("message-id") or "")[:1]


def _reads_like_bounce(parsed: ParsedMessage) -> bool:
    if is_auto_reply(parsed):
        return False
    from_system = parsed.from_ is not None and is_system_address(parsed.from_.address)
    if "x-failed-recipients" in parsed.headers:
        return True
    if not (from_system or parsed.return_path == ""):
        return False
    return bool(_PROSE.search(parsed.subject) or _PROSE.search(parsed.text[:_MAX_PROSE_CHARS]))


def _prose_bounce(parsed: ParsedMessage) -> Bounce:
    text = parsed.text[:_MAX_PROSE_CHARS]
    below = _ORIGINAL_BELOW.search(text)
    prose = text[: below.start()] if below else text
    reports = _failed_by_header(parsed, prose) or _failed_in_prose(parsed, prose)
    return Bounce(reports or _failed_by_quote(text, prose), _original_ids(parsed))


def _failed_by_header(parsed: ParsedMessage, prose: str) -> list[RecipientReport]:
    """Exim names them in X-Failed-Recipients."""
    named = ",".join(parsed.headers.all("x-failed-recipients")).split(",")
    return [
        _failed(address.strip(), prose) for address in named[:_MAX_RECIPIENTS] if is_valid(address.strip())
    ]


def _failed_in_prose(parsed: ParsedMessage, prose: str) -> list[RecipientReport]:
    """Take every address the system's own words name; what stands up to the next one is its diagnostic."""
    own = {address.address.lower() for address in (parsed.from_, *parsed.to) if address}
    matches = [m for m in _ADDRESS.finditer(prose) if m[1].lower() not in own and not is_system_address(m[1])]
    reports: dict[str, RecipientReport] = {}
    for number, match in enumerate(matches[:_MAX_RECIPIENTS]):
        end = matches[number + 1].start() if number + 1 < len(matches) else len(prose)
        reports.setdefault(match[1].lower(), _failed(match[1], prose[match.end() : end]))
    return list(reports.values())


def _failed_by_quote(text: str, prose: str) -> list[RecipientReport]:
    quoted = _QUOTED_TO.search(text)
    addresses = _ADDRESS.findall(quoted[0]) if quoted else []
    return [_failed(address, prose) for address in addresses[:_MAX_RECIPIENTS]]


def _failed(address: str, words: str) -> RecipientReport:
    status = _ENHANCED_STATUS.search(words)
    code = _REPLY_CODE.search(words)
    known = status[1] if status else (f"{code[1]}.0.0" if code else "")
    return RecipientReport(address, "failed", known, clean_detail(words.lstrip(">:) \n")))
