"""What may stand in a protocol command or a header: nothing that ends it.

A CR, LF or NUL inside an argument turns one command into two (CVE-2025-15366 and its kin). All of mailkit
asks here before a value meets a wire.
"""

from __future__ import annotations

import re

from mailkit.errors import InvalidArgument

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_LINE_BREAKERS = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]")


def reject_controls(value: str, what: str) -> str:
    """Return ``value``; raise InvalidArgument if it holds C0 controls or DEL. ``what`` names it."""
    if _CONTROLS.search(value):
        raise InvalidArgument(f"{what} holds control characters")
    return value


def reject_line_breakers(value: str, what: str) -> str:
    """Like ``reject_controls``; refuse also what some reader takes for a line end, and lone surrogates."""
    if _LINE_BREAKERS.search(value):
        raise InvalidArgument(f"{what} holds control characters or line separators")
    return value
