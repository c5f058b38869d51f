"""How much of one message mailkit is willing to read.

The numbers are far above what honest mail needs and low enough that no message costs more than
30 s or 256 MB. Beyond a limit that would make the reading itself expensive, the parser raises
`mailkit.errors.MalformedMessage`; beyond one that only concerns the view, it cuts and reports a defect.
"""

from __future__ import annotations

from typing import Final

# Raise MalformedMessage beyond these.
MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
MAX_HEADER_LINES: Final = 50_000  # physical lines of one header block; 10,000 recipients fit
MAX_HEADER_FIELDS: Final = 2_000  # of one header block
MAX_TOTAL_HEADER_FIELDS: Final = 20_000  # of all parts together
MAX_DEPTH: Final = 100  # nested multiparts and attached messages
MAX_PARTS: Final = 2_000
MAX_ATTACHMENTS: Final = 500

# Cut, with a defect, beyond these.
MAX_HEADER_VALUE_BYTES: Final = 128 * 1024  # of one field, as shown and searched
MAX_SUBJECT_CHARS: Final = 998
MAX_NAME_CHARS: Final = 256  # of a display name
MAX_ADDRESSES: Final = 500  # of one address field
MAX_REFERENCES: Final = 200  # RFC 5322 §3.6.4 sets no limit; threading needs the first and the last ones
MAX_MESSAGE_ID_CHARS: Final = 998
MAX_BODY_BYTES: Final = 8 * 1024 * 1024  # of one text part, decoded
MAX_PARAMETERS: Final = 100  # of one Content-Type or Content-Disposition
MAX_REPORT_PARTS: Final = 10  # of one multipart/report
MAX_REPORT_PART_BYTES: Final = 256 * 1024
MAX_QUOTE_LINES: Final = 200_000  # of a text in which quotations are looked for
MAX_HTML_CHARS: Final = 2_000_000  # what the sanitiser and the text view read of one document
MAX_OPEN_TAGS: Final = 20_000  # HTML parsers take quadratic time beyond
MAX_HTML_DEPTH: Final = 5_000
MAX_UNCHECKED_HTML_CHARS: Final = 250_000  # longer documents are parsed only if provably harmless
MAX_AMPERSANDS: Final = 100_000  # in such a document
MAX_TAG_WORDS: Final = 500  # attributes of one tag in such a document
