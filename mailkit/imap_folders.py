"""Folders of a mailbox: names in modified UTF-7 (RFC 3501 §5.1.3), attributes, special uses (RFC 6154)."""

from __future__ import annotations

import binascii
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from imapclient.imap_utf7 import decode as utf7_decode
from imapclient.imap_utf7 import encode as utf7_encode

from mailkit.arguments import reject_line_breakers
from mailkit.errors import InvalidArgument, clean_detail

logger = logging.getLogger(__name__)

SPECIAL_USES = ("all", "archive", "drafts", "flagged", "junk", "sent", "trash")
_LONGEST_NAME = 1000
_ENCODED_RUN = re.compile(rb"&([A-Za-z0-9+,]*)-")

# What providers without SPECIAL-USE call these folders. Compared with the last part of the name, in lower
# case.
_USUAL_NAMES = {
    "sent": ("sent", "sent items", "sent messages", "sent mail", "gesendet", "gesendete objekte",
             "gesendete elemente"),
    "drafts": ("drafts", "draft", "entwürfe"),
    "trash": ("trash", "deleted items", "deleted messages", "papierkorb", "gelöscht", "gelöschte elemente"),
    "junk": ("junk", "spam", "junk e-mail", "junk-e-mail", "spamverdacht", "unerwünscht"),
    "archive": ("archive", "archives", "archiv"),
}  # fmt: skip
_USE_BY_USUAL_NAME = {name: use for use, names in _USUAL_NAMES.items() for name in names}


@dataclass(frozen=True)
class Folder:
    """A folder as LIST names it.

    ``special_use`` is one of ``SPECIAL_USES`` or None; ``delimiter`` None: flat.
    """

    name: str
    flags: frozenset[str]
    delimiter: str | None
    special_use: str | None = None

    @property
    def is_selectable(self) -> bool:
        """Tell whether it can hold mail at all."""
        return not {"\\noselect", "\\nonexistent"} & self.flags


def encode_folder_name(name: str) -> str:
    """Return ``name`` in modified UTF-7, unquoted.

    Raises InvalidArgument for names that no honest folder has.
    """
    reject_line_breakers(name, "The folder's name")
    if not name or len(name) > _LONGEST_NAME:
        raise InvalidArgument("The folder's name is empty or too long")
    encoded: bytes = utf7_encode(name)
    return encoded.decode("ascii")


def decode_folder_name(raw: bytes) -> str:
    """Decode modified UTF-7. Raises InvalidArgument for a hostile or broken name (B88).

    Broken is also a name that does not encode back to the same bytes: it could never be selected again.
    """
    try:
        name: str = utf7_decode(raw)
        if encode_folder_name(name).encode("ascii") == raw:
            return name
    except (UnicodeError, binascii.Error, ValueError):
        pass
    raise InvalidArgument("The folder's name is not modified UTF-7")


def read_folders(rows: Iterable[tuple[object, object, object]]) -> list[Folder]:
    """Turn IMAPClient's LIST rows (flags, delimiter, raw name) into folders.

    Hostile names are left out and logged.
    """
    folders = []
    for flags, delimiter, raw_name in rows:
        try:
            folders.append(_read_folder(flags, delimiter, raw_name))
        except InvalidArgument:
            logger.warning(
                "IMAP folder refused, its name is hostile or broken: %s", clean_detail(repr(raw_name), 100)
            )
    return _guess_special_uses(folders)


def _read_folder(flags: object, delimiter: object, raw_name: object) -> Folder:
    # A name of digits only was parsed to an int by IMAPClient.
    name = decode_folder_name(raw_name if isinstance(raw_name, bytes) else str(raw_name).encode("utf-8"))
    names = flags if isinstance(flags, tuple) else ()
    lowered = frozenset(f.decode("ascii", "replace").lower() for f in names if isinstance(f, bytes))
    use = next((use for use in SPECIAL_USES if f"\\{use}" in lowered), None)
    return Folder(name, lowered, _read_delimiter(delimiter), use)


def _read_delimiter(delimiter: object) -> str | None:
    text = delimiter.decode("ascii", "replace") if isinstance(delimiter, bytes) else ""
    text = "\\" if text == "\\\\" else text
    return text if len(text) == 1 and text.isprintable() else None


def _guess_special_uses(folders: list[Folder]) -> list[Folder]:
    """Fill in, by their usual names, the uses that the server assigned to no folder."""
    known = {folder.special_use for folder in folders}
    return [_guess_special_use(folder, known) for folder in folders]


def _guess_special_use(folder: Folder, known: set[str | None]) -> Folder:
    last_part = folder.name.rsplit(folder.delimiter, 1)[-1] if folder.delimiter else folder.name
    use = _USE_BY_USUAL_NAME.get(last_part.lower())
    if use is None or folder.special_use or use in known or not folder.is_selectable:
        return folder
    return replace(folder, special_use=use)
