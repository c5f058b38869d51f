"""Names of attachments: metadata from a stranger, made fit to show and to offer as a download name."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_FILENAME_CHARS: Final = 120
MAX_EXTENSION_CHARS: Final = 16
_RESERVED: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)", re.IGNORECASE
)
_FORBIDDEN: Final = re.compile(r'[<>:"|?*%]')
_SEPARATORS: Final = re.compile(r"[/\\\u2044\u2215\u29f8\uff0f\uff3c]")
_BLANKS: Final = re.compile(r"\s+")
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Fillers that render as nothing although Unicode calls them letters or marks.
_HIDDEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0")


def safe_filename(name: str, fallback: str) -> str:
    """Return a file name of at most 120 characters that is one path part on every system.

    Removed are directories, control, bidi and zero-width characters, characters Windows forbids (``%`` too,
    as downloads decode it), leading dots, trailing dots and blanks; reserved device names get an underscore;
    a name cut for length keeps its extension. ``fallback`` stands in for a name of which nothing remains.
    """
    base = _SEPARATORS.split(name[:8192])[-1] or _last_part(name[:8192])
    shown = "".join(c for c in unicodedata.normalize("NFC", base) if not _is_hidden(c))
    tidy = _BLANKS.sub(" ", _FORBIDDEN.sub("_", shown)).strip(" ").lstrip(".").strip(" .")
    if not tidy.strip("_"):
        return fallback
    if _RESERVED.match(tidy):
        tidy = "_" + tidy
    return _shorten(tidy)


def _last_part(name: str) -> str:
    parts = [part for part in _SEPARATORS.split(name) if part]
    return parts[-1] if parts else ""


def _is_hidden(character: str) -> bool:
    if character in "\t\n\r":
        return False  # becomes a blank
    return character in _HIDDEN or unicodedata.category(character) in _HIDDEN_CATEGORIES


def _shorten(name: str) -> str:
    if len(name) <= MAX_FILENAME_CHARS:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or len(extension) > MAX_EXTENSION_CHARS:
        return name[:MAX_FILENAME_CHARS].rstrip(" .")
    return stem[: MAX_FILENAME_CHARS - len(extension) - 1].rstrip(" .") + "." + extension
