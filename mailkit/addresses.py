"""Addresses of header fields (RFC 5322 §3.4) as they are really written, and addresses to compare or send to.

Fields are tokenised *before* encoded words are decoded: what hides in a word is a name, never an address
(RFC 2047 §5), and the address of ``ceo@firma.example <other@x.example>`` is the one in angle brackets.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mailkit.defects import Defect, Defects
from mailkit.encoded_words import ENCODED_WORD, decode_words
from mailkit.errors import InvalidAddress
from mailkit.limits import MAX_ADDRESSES, MAX_NAME_CHARS

_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u00a1-\U0010ffff-]+"
_DOT_ATOM: Final = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*+")
_QUOTED_LOCAL: Final = re.compile(r'"((?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*+)"')
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_SIMPLE: Final = re.compile(r'(?:"([^"\\]*)"|([^"<>(),:;@\\\[\]]*))\s*<([^<>\s"(),:;\\\[\]]+)>')
_TOKEN: Final = re.compile(
    r'"(?:[^"\\]|\\.)*+"?'  # a quoted string, perhaps unclosed
    r"|\((?:[^()\\]|\\.)*+\)?"  # a comment without nesting, the usual kind
    r"|\[[^\]]*+\]?|[<>,;:()]|\s++|[^\"<>,;:()\[\s]++",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ADDRESS_IN_NAME: Final = re.compile(r"[^\s<>\"'(),;:@]{1,64}@[^\s<>\"'(),;:@]{1,255}")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: the decoded display ``name`` (perhaps empty) and a valid addr-spec."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


def parse_addresses(value: str, defects: Defects, invalid: Defect = Defect.INVALID_ADDRESS) -> list[Address]:
    """Return the valid mailboxes of an undecoded address field, groups expanded, at most `MAX_ADDRESSES`.

    Entries that hold no valid addr-spec are left out and noted as ``invalid``; ``<>`` and empty groups are
    left out silently. Never raises, linear time.
    """
    simple = _SIMPLE.fullmatch(value.strip())
    entries = [(simple[1] or simple[2] or "", simple[3])] if simple else _Scanner(value).entries()
    if len(entries) > MAX_ADDRESSES:
        defects.add(Defect.TOO_MANY_ADDRESSES)
    found = []
    for name, spec in entries[:MAX_ADDRESSES]:
        address = _mailbox(name, spec, defects)
        if address is None:
            defects.add(invalid)
        else:
            found.append(address)
    return found


def _mailbox(name: str, spec: str, defects: Defects) -> Address | None:
    if not is_valid(spec):
        return None
    shown = clean_name(decode_words(name))
    claimed = _ADDRESS_IN_NAME.search(shown)
    if claimed and claimed[0].lower() != spec.lower():
        defects.add(Defect.ADDRESS_IN_DISPLAY_NAME)
    return Address(shown, spec)


def clean_name(name: str) -> str:
    """Return a display name on one line, without control characters and outer quotes, cut at the limit."""
    if not name.isprintable():
        name = "".join(c for c in name if c.isprintable() or c.isspace())
    line = " ".join(name.split())
    if len(line) > 1 and line[0] == line[-1] and line[0] in "\"'":
        line = line[1:-1].strip()
    return line[:MAX_NAME_CHARS]


class _Scanner:
    """Reads an address list token by token into (display name, addr-spec) pairs."""

    def __init__(self, value: str) -> None:
        self._tokens = _TOKEN.finditer(value)
        self._entries: list[tuple[str, str]] = []
        self._phrase: list[str] = []
        self._comment = ""
        self._angle: str | None = None
        self._in_group = False

    def entries(self) -> list[tuple[str, str]]:
        """Return the pairs; an addr-spec may still be invalid."""
        for match in self._tokens:
            self._take(match[0])
            if len(self._entries) > MAX_ADDRESSES:
                return self._entries
        self._finish()
        return self._entries

    def _take(self, piece: str) -> None:
        if piece == "<":
            self._angle = self._read_angle()
        elif piece in {",", ";"}:
            self._finish()
        elif piece == ":":
            self._open_group()
        elif piece.startswith("("):
            self._comment = self._read_comment(piece)
        elif piece not in {">", ")"}:
            self._phrase.append(piece)

    def _open_group(self) -> None:
        """Drop the group's name (RFC 5322 §3.4): its members follow."""
        self._phrase.clear()
        self._comment = ""

    def _read_angle(self) -> str:
        inside = []
        for match in self._tokens:
            if match[0] == ">":
                break
            inside.append(match[0])
        spec = "".join(inside).strip()
        _, route, target = spec.rpartition(":")  # an obsolete source route <@relay:user@host>
        return target if route and spec.startswith("@") else spec

    def _read_comment(self, token: str) -> str:
        """Return the text of a comment, following nested ones to their end."""
        pieces, depth = [token], token.count("(") - token.endswith(")")
        while depth > 0:
            match = next(self._tokens, None)
            if match is None:
                break
            pieces.append(match[0])
            depth += match[0].startswith("(") - match[0].endswith(")")
        return _ESCAPE.sub(r"\1", "".join(pieces).strip("()"))

    def _finish(self) -> None:
        phrase = "".join(self._phrase).strip()
        if self._angle:
            self._entries.append((_unquoted(phrase) or self._comment, self._angle))
        elif phrase and self._angle is None:
            self._entries.append((self._comment, phrase))
        self._phrase.clear()
        self._comment = ""
        self._angle = None


def _unquoted(phrase: str) -> str:
    if '"' not in phrase:
        return phrase
    return _ESCAPE.sub(r"\1", phrase.replace('"', ""))


@lru_cache(maxsize=4096)
def is_valid(address: str) -> bool:
    """Return whether `validate` accepts the address."""
    try:
        validate(address)
    except InvalidAddress:
        return False
    return True


def validate(address: str) -> str:
    """Return the addr-spec with its domain as A-labels (RFC 5890), fit for an envelope and a header.

    Accepted are dot-atoms and quoted local parts of up to 64 octets, host names of up to 253 and address
    literals (RFC 5321 §4.1.2, §4.5.3.1). Raises InvalidAddress for anything else: blanks, control
    characters, invisible characters, a missing part, an encoded word where a local part belongs.
    """
    local, at, domain = address.rpartition("@")
    if not at or not local or len(address) > 320:
        raise InvalidAddress(address)
    if not _is_local_part(local):
        raise InvalidAddress(address, code="invalid_local_part")
    return f"{local}@{ascii_domain(domain)}"


def _is_local_part(local: str) -> bool:
    if len(local.encode("utf-8", "replace")) > 64 or ENCODED_WORD.search(local):
        return False
    if not local.isprintable():
        return False
    return bool(_DOT_ATOM.fullmatch(local) or _QUOTED_LOCAL.fullmatch(local))


def ascii_domain(domain: str) -> str:
    """Return a host name as A-labels, case kept where it was ASCII. Raises InvalidAddress.

    Unlike Python's ``idna`` codec (IDNA 2003) this keeps ß, which is a letter of its own since RFC 5892:
    ``straße.example`` and ``strasse.example`` belong to different people.
    """
    if domain.startswith("["):
        return _address_literal(domain)
    name = domain if domain.isascii() else ".".join(_a_label(label) for label in _labels(domain))
    if len(name) > 253 or not all(len(x) <= 63 and _LABEL.fullmatch(x) for x in name.split(".")):
        raise InvalidAddress(domain, code="invalid_domain")
    return name


def _labels(domain: str) -> list[str]:
    if len(domain) > 253:
        raise InvalidAddress(domain, code="invalid_domain")
    return unicodedata.normalize("NFKC", domain.lower()).split(".")


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    if not all(c == "-" or c.isalnum() or unicodedata.category(c) in {"Mn", "Mc"} for c in label):
        raise InvalidAddress(label, code="invalid_domain")
    return "xn--" + label.encode("punycode").decode("ascii")


def _address_literal(domain: str) -> str:
    text = domain[1:-1].removeprefix("IPv6:")
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise InvalidAddress(domain, code="invalid_domain") from None
    if not domain.endswith("]") or "%" in domain:
        raise InvalidAddress(domain, code="invalid_domain")
    return domain


@lru_cache(maxsize=1024)  # an import compares the same few addresses mail after mail
def normalise(address: str) -> str:
    """Return the form in which two addresses of one mailbox compare equal; invalid ones only lower-cased.

    Lower case throughout (no provider in use tells local parts by case), A-labels, needless quotes removed.
    """
    try:
        local, _, domain = validate(address.strip()).rpartition("@")
    except InvalidAddress:
        return address.strip().lower()
    quoted = _QUOTED_LOCAL.fullmatch(local)
    bare = _ESCAPE.sub(r"\1", quoted[1]) if quoted else ""
    if quoted and _DOT_ATOM.fullmatch(bare):
        local = bare
    return f"{unicodedata.normalize('NFC', local).lower()}@{domain.lower()}"


def strip_tag(address: str) -> str:
    """Return the normalised address without its sub-address: ``a+b@c`` is the mailbox ``a@c`` (RFC 5233)."""
    local, at, domain = normalise(address).rpartition("@")
    if local.startswith(('"', "+")):
        return local + at + domain
    return local.partition("+")[0] + at + domain


def domain_of(address: str) -> str:
    """Return the normalised domain, empty when there is none."""
    return normalise(address).rpartition("@")[2] if "@" in address else ""
