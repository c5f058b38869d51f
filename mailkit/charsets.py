"""Bytes to text, whatever the label says: label, then UTF-8, then windows-1252.

Only real character sets are decoded. Python also registers transforms (``rot13``, ``zlib``), escapes
(``unicode_escape``) and UTF-7, each of which turns harmless bytes into something nobody wrote; labels
are therefore looked up in a list and never handed to ``codecs.lookup``, which imports by name.
"""

from __future__ import annotations

import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

from mailkit.defects import Defect

_SINGLE_BYTE: Final = frozenset(
    {f"cp{number}" for number in (437, 850, 852, 855, 858, 862, 864, 866, 874, *range(1250, 1259))}
    | {f"iso8859_{number}" for number in (*range(2, 12), 13, 14, 15, 16)}
    | {"koi8_r", "koi8_u", "mac_roman", "mac_cyrillic", "mac_greek", "mac_latin2", "tis_620", "kz1048"},
)
_MULTI_BYTE: Final = frozenset({
    "big5", "big5hkscs", "cp932", "cp949", "cp950", "euc_jp", "euc_jis_2004", "euc_kr", "gb2312", "gbk",
    "gb18030", "johab", "shift_jis", "shift_jis_2004",
})  # fmt: skip
# Their bytes are ASCII or hold NULs, so the ASCII short cut must not see them.
_STATEFUL: Final = frozenset({
    "hz", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3",
    "iso2022_jp_ext", "iso2022_kr", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be",
    "utf_32_le",
})  # fmt: skip
_KNOWN: Final = _SINGLE_BYTE | _MULTI_BYTE | _STATEFUL | {"utf_8"}
_REFUSED: Final = frozenset({
    "base64_codec", "bz2_codec", "hex_codec", "idna", "palmos", "punycode", "quopri_codec",
    "raw_unicode_escape", "rot_13", "undefined", "unicode_escape", "utf_7", "uu_codec", "zlib_codec",
    "mbcs", "oem",
})  # fmt: skip
# WHATWG Encoding §4.2: what calls itself Latin-1 or ASCII is windows-1252 or a superset of ASCII.
_OWN_ALIASES: Final = {
    "ascii": "utf_8", "us_ascii": "utf_8", "unknown_8bit": "utf_8", "8bit": "utf_8", "default": "utf_8",
    "latin_1": "cp1252", "iso_8859_1": "cp1252", "iso8859_1": "cp1252", "windows_1252": "cp1252",
    "ansi": "cp1252", "x_ansi": "cp1252", "iso_8859_8_i": "iso8859_8", "ks_c_5601_1987": "cp949",
    "euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "x_gbk": "gb18030", "x_sjis": "cp932",
    "shift_jis": "cp932", "windows_31j": "cp932", "macintosh": "mac_roman", "x_mac_roman": "mac_roman",
    "windows_874": "cp874", "iso_8859_11": "cp874", "utf8": "utf_8", "utf_8": "utf_8", "utf_8_sig": "utf_8",
}  # fmt: skip
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,39}")
_FOREIGN: Final = re.compile(r"[^a-z0-9]+")
_UNDEFINED_1252: Final = frozenset({0x81, 0x8D, 0x8F, 0x90, 0x9D})


@lru_cache(maxsize=512)
def codec_for(label: str) -> tuple[str, Defect | None]:
    """Return the Python codec for a MIME charset label, or ``utf_8`` with the reason why not."""
    if not label:
        return "utf_8", None
    if not _LABEL.fullmatch(label):
        return "utf_8", Defect.UNKNOWN_CHARSET
    name = _FOREIGN.sub("_", label.lower()).strip("_")
    codec = _OWN_ALIASES.get(name) or aliases.get(name, name)
    codec = _OWN_ALIASES.get(codec, codec)
    if codec in _KNOWN:
        return codec, None
    refused = codec in _REFUSED or codec.endswith("_codec")
    return "utf_8", Defect.REFUSED_CHARSET if refused else Defect.UNKNOWN_CHARSET


def decode(data: bytes, label: str = "") -> tuple[str, Defect | None]:
    """Return ``data`` as text that holds no lone surrogate, and what was wrong with it.

    Never raises. ``label`` is the charset parameter as it stands in the message; an empty one means none.
    """
    codec, defect = codec_for(label)
    if codec not in _STATEFUL and data.isascii():
        return data.decode("ascii"), defect
    if codec == "utf_8":
        return _decode_utf8(data, defect)
    if codec == "cp1252":
        return _decode_western(data)
    return _decode_labelled(data, codec)


def _decode_utf8(data: bytes, defect: Defect | None) -> tuple[str, Defect | None]:
    try:
        return data.decode("utf-8"), defect
    except UnicodeDecodeError:
        return _repair_utf8(data), defect or Defect.WRONG_CHARSET


def _repair_utf8(data: bytes) -> str:
    """Return damaged UTF-8 with the damage marked, or windows-1252 where it never was UTF-8."""
    text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    sound = len(text) - len(text.encode("ascii", "ignore")) - damaged
    return text if sound > 4 * damaged else windows_1252(data)


def _decode_western(data: bytes) -> tuple[str, Defect | None]:
    """Read Latin-1 as windows-1252, unless the bytes are UTF-8: text that looks so by accident is unknown."""
    try:
        return data.decode("utf-8"), Defect.WRONG_CHARSET
    except UnicodeDecodeError:
        return windows_1252(data), None


def _decode_labelled(data: bytes, codec: str) -> tuple[str, Defect | None]:
    try:
        return _without_surrogates(data.decode(codec)), None
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("utf-8"), Defect.WRONG_CHARSET
    except UnicodeDecodeError:
        text = data.decode(codec, "replace") if codec not in _SINGLE_BYTE else windows_1252(data)
        return _without_surrogates(text), Defect.WRONG_CHARSET


def windows_1252(data: bytes) -> str:
    """Return ``data`` as windows-1252, its five undefined bytes as C1 controls (WHATWG Encoding §9)."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1").translate(_C1_TO_1252)


_C1_TO_1252: Final = {
    byte: bytes([byte]).decode("cp1252") for byte in range(0x80, 0xA0) if byte not in _UNDEFINED_1252
}


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
