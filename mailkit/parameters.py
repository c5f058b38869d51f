"""Content-Type and Content-Disposition: a value and its parameters (RFC 2045 §5.1, RFC 2183, RFC 2231)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import unquote_to_bytes

from mailkit import charsets
from mailkit.encoded_words import decode_words
from mailkit.limits import MAX_PARAMETERS

# name, section number, extended mark, value: a quoted string (perhaps unclosed) or everything up to ";".
_PARAMETER: Final = re.compile(
    r';\s*+([^\s=;"*]{1,60})(?:\*(\d{1,4}))?(\*)?\s*+=\s*+("(?:[^"\\]|\\.)*+"?|[^;]*+)',
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_TOKEN: Final = re.compile(r"[^\s;()]*")


@dataclass(frozen=True, slots=True)
class Parameterised:
    """A header value with parameters: ``value`` in lower case, ``parameters`` by lower-case name."""

    value: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()  # names given more than once; the first one counts

    def token(self, name: str) -> str:
        """Return a parameter whose value is a token, without the comment some mailers append."""
        match = _TOKEN.match(self.parameters.get(name, ""))
        return match[0] if match else ""


EMPTY: Final = Parameterised()


@lru_cache(maxsize=1024)
def parse_parameterised(text: str) -> Parameterised:
    """Parse an unfolded, undecoded header value. Never raises; what cannot be read is left out."""
    head, semicolon, _ = text.partition(";")
    value = "".join(head.split()).lower()
    if not semicolon:
        return Parameterised(value)
    parameters, repeated = _collect(text)
    return Parameterised(value, parameters, repeated)


def _collect(text: str) -> tuple[dict[str, str], frozenset[str]]:
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    repeated = set()
    for match in islice(_PARAMETER.finditer(text), MAX_PARAMETERS):
        name, number, extended, value = match[1].lower(), match[2], bool(match[3]), _unquoted(match[4])
        if number or extended:
            sections.setdefault(name, {}).setdefault(int(number or 0), (value, extended))
        elif name in plain:
            repeated.add(name)
        else:
            plain[name] = value
    for name, pieces in sections.items():  # RFC 6266 §4.3: the extended form is the better one
        plain[name] = _joined(pieces)
    return plain, frozenset(repeated)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    return _ESCAPE.sub(r"\1", value[1:].removesuffix('"'))


def _joined(pieces: dict[int, tuple[str, bool]]) -> str:
    """Join RFC 2231 sections by number, whatever their order; a missing one leaves no trace."""
    label, data = "", bytearray()
    for number in sorted(pieces):
        value, extended = pieces[number]
        if extended and not label and value.count("'") >= 2:
            label, _, value = value.split("'", 2)
        data += unquote_to_bytes(value) if extended else value.encode("utf-8", "replace")
    return charsets.decode(bytes(data), label)[0]


def parameter_text(parameterised: Parameterised, name: str) -> str:
    """Return a parameter meant for people; RFC 2047 words inside it are illegal (§5) and usual."""
    return decode_words(parameterised.parameters.get(name, ""))
