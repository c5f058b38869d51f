"""Message-IDs of our own mail that prove, when they come back in References, that we wrote to the sender.

``t{number}.{nonce}.{mac}@domain``: the ticket's number in base32, a nonce, and an HMAC-SHA-256 over both
under a key derived from SECRET_KEY. Who has received the mail can present it; nobody can make one
(reliability T4, T5). All of it is one case and 53 characters at most, so that it survives gateways that
change case or fold long lines.
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import Final

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

_SALT: Final = "tickets.tokens"
_NONCE_BYTES: Final = 10
_MAC_BYTES: Final = 15
_TOKEN: Final = re.compile(r"t([a-z2-7]{1,16})\.([a-z2-7]{16})\.([a-z2-7]{24})@")


def make_message_id(number: str, domain: str) -> str:
    """A new Message-ID, without angle brackets, for a mail of the ticket with that number."""
    payload = f"{_packed(number)}.{_base32(secrets.token_bytes(_NONCE_BYTES))}"
    return f"t{payload}.{_mac(payload, settings.SECRET_KEY)}@{domain}"


def ticket_of(message_id: str) -> str | None:
    """Number of the ticket whose token the id carries; None for ids that are not ours, or no longer."""
    match = _TOKEN.match(message_id.lower())
    if not match:
        return None
    payload = f"{match[1]}.{match[2]}"
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if not any(constant_time_compare(_mac(payload, key), match[3]) for key in keys):
        return None
    return _unpacked(match[1])


def _mac(payload: str, key: str) -> str:
    digest = salted_hmac(_SALT, payload, secret=key, algorithm="sha256").digest()
    return _base32(digest[:_MAC_BYTES])


def _packed(number: str) -> str:
    digits = int(number.replace("-", ""))
    return _base32(digits.to_bytes((digits.bit_length() + 7) // 8))


def _unpacked(text: str) -> str:
    padding = "=" * (-len(text) % 8)
    digits = str(int.from_bytes(base64.b32decode(text.upper() + padding)))
    return f"{digits[:8]}-{digits[8:]}"


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()
