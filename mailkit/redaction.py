"""Keeping credentials out of texts that are stored, shown or logged."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mailkit.tracebacks import describe, format_traceback

REPLACEMENT = "[redacted]"
_SHORTEST_SECRET = 3

_MECHANISMS = (
    r"(?:PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|EXTERNAL|ANONYMOUS|SCRAM-[\w-]+)"
)
_ARGUMENT = r"(?:\"(?:[^\"\\]|\\.)*\"|[^\s\"]+)"
# AUTH lines of SMTP and IMAP with what follows the mechanism (not a server's list of mechanisms), IMAP's
# LOGIN with its two arguments, and bearer tokens.
_CREDENTIAL_LINES = (
    re.compile(rf"(?i)(\bAUTH(?:ENTICATE)?[ ]{_MECHANISMS}[ ]+)(?!{_MECHANISMS}(?:\s|$)|\[redacted)\S+"),
    re.compile(rf"(?i)(\bLOGIN[ ]+){_ARGUMENT}[ ]+(?=[\"\S]){_ARGUMENT}(?=\s*$)", re.MULTILINE),
    re.compile(r"(?i)(\bBearer[ ]+)[A-Za-z0-9._~+/=-]{8,}"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` without the ``secrets`` (plain, quoted or base64) and without what follows an AUTH."""
    return _redact(text, _forms(secrets))


def _redact(text: str, forms: Iterable[str]) -> str:
    for form in forms:
        text = text.replace(form, REPLACEMENT)
    for pattern in _CREDENTIAL_LINES:
        text = pattern.sub(rf"\g<1>{REPLACEMENT}", text)
    return text


def _forms(secrets: Iterable[str]) -> list[str]:
    forms: set[str] = set()
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
            forms |= {secret, quoted, *_base64_forms(secret.encode("utf-8"))}
    return sorted(forms, key=len, reverse=True)


def _base64_forms(secret: bytes) -> set[str]:
    """Return the secret's base64 at each of the three offsets it may have inside a longer encoded text."""
    forms = set()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret).decode("ascii").rstrip("=")
        first = (offset * 8 + 5) // 6
        last = (offset + len(secret)) * 8 // 6
        forms.add(encoded[first:last])
    return {form for form in forms if len(form) >= _SHORTEST_SECRET}


class RedactingFilter(logging.Filter):
    """A logging filter that redacts messages and arguments, and reduces exceptions to what names no values.

    ``secrets`` are known ones, such as the application's own keys; credential lines go without knowing them.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._forms = _forms(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        record.args = _without_values(record.args)
        record.msg = self._redact(
            describe(record.msg) if isinstance(record.msg, BaseException) else record.getMessage()
        )
        record.args = ()
        if record.exc_info and record.exc_info[1]:
            record.exc_text = self._redact(format_traceback(record.exc_info[1]))
        return True

    def _redact(self, text: str) -> str:
        return _redact(text, self._forms)


def _without_values(arguments: Any) -> Any:
    if isinstance(arguments, Mapping):
        return {name: _argument(value) for name, value in arguments.items()}
    return tuple(_argument(value) for value in arguments or ())


def _argument(value: object) -> object:
    return describe(value) if isinstance(value, BaseException) else value
