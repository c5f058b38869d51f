"""The vocabulary of what was wrong with a message that could be read all the same.

The values are stable: they are stored, counted and translated by upper layers.
"""

from __future__ import annotations

from enum import StrEnum


class Defect(StrEnum):
    """One kind of fault in a message; ``ParsedMessage.defects`` holds the values in order of discovery."""

    ADDRESS_IN_DISPLAY_NAME = "address-in-display-name"  # From: ceo@firma.example <other@x.example>
    BARE_CR = "bare-cr-line-ends"
    BODY_CUT = "body-cut"  # longer than limits.MAX_BODY_BYTES
    BOUNDARY_MISSING = "boundary-missing"  # the multipart declares none
    BOUNDARY_NOT_FOUND = "boundary-not-found"  # the body does not hold the declared one
    BOUNDARY_UNCLOSED = "boundary-unclosed"
    DIRTY_BASE64 = "dirty-base64"  # foreign characters inside, skipped
    GARBAGE_IN_HEADER = "garbage-in-header"
    HEADER_CUT = "header-cut"
    HTML_AS_TEXT = "html-as-text"  # too big or too deep to be read as HTML
    INVALID_ADDRESS = "invalid-address"  # in To, Cc or Reply-To
    INVALID_CONTENT_TYPE = "invalid-content-type"
    INVALID_DATE = "invalid-date"
    INVALID_FROM = "invalid-from"
    INVALID_MESSAGE_ID = "invalid-message-id"
    INVALID_QUOTED_PRINTABLE = "invalid-quoted-printable"
    MISSING_DATE = "missing-date"
    MISSING_FROM = "missing-from"
    MISSING_MESSAGE_ID = "missing-message-id"
    NUL_REMOVED = "nul-removed"
    REFUSED_CHARSET = "refused-charset"  # a codec that is no character set, or UTF-7
    SEVERAL_FROM = "several-from"
    SEVERAL_SUBJECTS = "several-subjects"
    TOO_MANY_ADDRESSES = "too-many-addresses"
    TRUNCATED_BASE64 = "truncated-base64"
    TWO_BOUNDARIES = "two-boundaries"
    TWO_CONTENT_TYPES = "two-content-types"
    UNKNOWN_CHARSET = "unknown-charset"
    UNKNOWN_TRANSFER_ENCODING = "unknown-transfer-encoding"
    WRONG_CHARSET = "wrong-charset"  # the bytes contradict the label


class Defects:
    """Collects defects in order, each once."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def add(self, defect: Defect | None) -> None:
        """Note ``defect``; None is nothing to note."""
        if defect is not None:
            self._seen[defect.value] = None

    def codes(self) -> list[str]:
        """Return the codes in order of discovery."""
        return list(self._seen)
