"""Keeping credentials out of texts that are stored, shown or logged."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable

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
    for form in _forms(secrets):
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
    """A logging filter that redacts messages, arguments and tracebacks.

    ``secrets`` are known ones, such as the application's own keys; credential lines go without knowing them.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage(), self._secrets)
        record.args = ()
        if record.exc_info:
            formatted = logging.Formatter().formatException(record.exc_info)
            record.exc_text = redact(formatted, self._secrets)
        return True
