"""What is new in a reply: the text above (or below) what it quotes, without the signature.

Words of the sender are never hidden on a guess: answers written between quoted lines stay where they are
together with the quotes, and a message that consists of nothing but a quotation is shown whole. All rules
look at single lines or small windows, so that the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import Final

from mailkit.limits import MAX_QUOTE_LINES

_MAX_LINE: Final = 400  # what is looked at of one line
_SEPARATOR: Final = re.compile(
    r"[>*\s]*-{2,}\s*(?:original[- ]?(?:message|nachricht|mail)"
    r"|urspr(?:ü|ue)ngliche (?:nachricht|mail|e-mail)|weitergeleitete (?:nachricht|mail)"
    r"|forwarded message|message d'origine)\s*-{2,}\s*",
    re.IGNORECASE,
)
_APPLE_FORWARD: Final = re.compile(
    r"(?:begin forwarded message|anfang der weitergeleiteten (?:nachricht|e-mail))\s*:", re.IGNORECASE
)
_RULE: Final = re.compile(r"\s*_{20,}\s*")
_LABEL: Final = re.compile(
    r"[>\s]*\*?(von|from|gesendet|sent|datum|date|an|to|cc|kopie|betreff|subject|antwort an|reply-to"
    r"|de|envoyé|objet)\s?:\*?(?:\s|$)",
    re.IGNORECASE,
)
_STARTING_LABELS: Final = frozenset(
    {"von", "from", "gesendet", "sent", "betreff", "subject", "de", "datum", "date"}
)
_ATTRIBUTION_START: Final = re.compile(
    r"(?:on|am|le|el|il|op)\s.{0,200}\d|.{0,120}<[^<>\s]+@[^<>\s]+>", re.IGNORECASE
)
_ATTRIBUTION_END: Final = re.compile(
    r"(?:.*\s)?(?:wrote|writes|schrieb(?:\s.{1,200})?|hat geschrieben|geschrieben"
    r"|a écrit|escribió|ha scritto)\s?:\s*",
    re.IGNORECASE,
)
_SIGNATURE: Final = re.compile(r"-- ?")
_ATTRIBUTION_LINES: Final = 4
_LABEL_WINDOW: Final = 7
_MIN_LABELS: Final = 3


def strip_quote(text: str) -> str:
    """Return the new text of a reply; the whole text where nothing but a quotation is found."""
    return split_quote(text)[0]


def split_quote(text: str) -> tuple[str, str]:
    """Return (new text, signature and quotation to fold away), both without outer blank lines.

    Recognised are ``>`` quotes with English, German and some French and Spanish attributions (Gmail, Apple
    Mail, Thunderbird), Outlook's header blocks and separators, those of GMX, Web.de and T-Online, and the
    signature separator ``-- `` (RFC 3676 §4.3). Texts of more than `MAX_QUOTE_LINES` lines stay whole.
    """
    if text.count("\n") > MAX_QUOTE_LINES:  # nobody's letter: millions of lines cost minutes
        return text.strip("\n"), ""
    lines = text.replace("\r\n", "\n").split("\n")
    heads = [line[:_MAX_LINE] for line in lines]
    start = _quotation_start(heads)
    above, below = lines[:start], lines[start:]
    answer = _answer_below(heads, start)
    if answer is None:  # interleaved: the quotes are what the answers answer
        return text.strip("\n"), ""
    if answer < len(lines):
        above, below = [*above, *lines[answer:]], lines[start:answer]
    new, signature = _cut_signature(above)
    if not _has_words(new):
        return text.strip("\n"), ""
    return _block(new), _block([*signature, *below])


def _block(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n").rstrip()


def _has_words(lines: list[str]) -> bool:
    return any(line.strip() for line in lines)


def _quotation_start(heads: list[str]) -> int:
    """Return the index of the first line that belongs to the quotation, else the number of lines."""
    for index, line in enumerate(heads):
        if _SEPARATOR.fullmatch(line) or _APPLE_FORWARD.match(line) or _is_quoted(line):
            return index
        if _is_attribution(heads, index) or _is_header_block(heads, index):
            return index
        if _RULE.fullmatch(line) and _is_header_block(heads, _next_with_words(heads, index + 1)):
            return index
    return len(heads)


def _is_quoted(line: str) -> bool:
    return line.startswith(">")


def _next_with_words(heads: list[str], index: int) -> int:
    """Skip the blank lines some mailers put there, a handful at most."""
    stop = min(len(heads), index + _ATTRIBUTION_LINES)
    return next((number for number in range(index, stop) if heads[number].strip()), index)


def _is_attribution(heads: list[str], index: int) -> bool:
    """Recognise ``Am 24.11.2026 um 10:00 schrieb Anna Beispiel <anna@kunde.example>:``, wrapped or not."""
    if not _ATTRIBUTION_START.match(heads[index]):
        return False
    for line in heads[index : index + _ATTRIBUTION_LINES]:
        if _ATTRIBUTION_END.fullmatch(line):
            return True
        if not line.strip():
            return False
    return False


def _is_header_block(heads: list[str], index: int) -> bool:
    """Recognise quoted header fields: a first one, then at least two more, on neighbouring lines."""
    first = _label(heads[index]) if index < len(heads) else ""
    if first not in _STARTING_LABELS:
        return False
    window = heads[index : index + _LABEL_WINDOW]
    return len({_label(line) for line in window} - {""}) >= _MIN_LABELS


def _label(line: str) -> str:
    match = _LABEL.match(line)
    return match[1].lower() if match else ""


def _answer_below(heads: list[str], start: int) -> int | None:
    """Return where an answer below the quotation begins; the end where there is none; None if interleaved.

    Only ``>`` quotes have an end one can see; what follows a header block is quotation to the last line.
    """
    first = _first_quoted(heads, start)
    if first is None:
        return len(heads)
    blocks = 0
    answer = len(heads)
    inside = False
    for index in range(first, len(heads)):
        quoted = _is_quoted(heads[index])
        if quoted and not inside:
            blocks += 1
            answer = len(heads)
        elif not quoted and heads[index].strip():
            answer = min(answer, index)
        elif not quoted:
            continue
        inside = quoted
    if blocks > 1 and _answers_between(heads, first):
        return None
    return answer


def _first_quoted(heads: list[str], start: int) -> int | None:
    """Return the first ``>`` line right below the start of the quotation, past its attribution."""
    stop = min(len(heads), start + _ATTRIBUTION_LINES + 3)
    candidates = (index for index in range(start, stop) if _is_quoted(heads[index]))
    first = next(candidates, None)
    if first is None or _is_header_block(heads, start) or _SEPARATOR.fullmatch(heads[start]):
        return None
    return first


def _answers_between(heads: list[str], first: int) -> bool:
    """Return whether unquoted words stand between quoted lines."""
    last = max(index for index in range(first, len(heads)) if _is_quoted(heads[index]))
    between = heads[first:last]
    return any(line.strip() and not _is_quoted(line) for line in between)


def _cut_signature(lines: list[str]) -> tuple[list[str], list[str]]:
    """Split at the last signature separator that leaves some words above it."""
    for index in range(len(lines) - 1, 0, -1):
        if _SIGNATURE.fullmatch(lines[index]) and _has_words(lines[:index]):
            return lines[:index], lines[index:]
    return lines, []
