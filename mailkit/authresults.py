"""Authentication-Results (RFC 8601): believed only on top, and only from a server the company trusts."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, Literal

from mailkit.headers import Headers

Verdict = Literal["pass", "fail", "none"]

_COMMENT: Final = re.compile(r"\([^()]*+\)")
_RESULT: Final = re.compile(r";\s*+([a-z][a-z0-9-]*+)(?:/\d+)?\s*+=\s*+([a-z]+)", re.IGNORECASE)
_MAX_NESTED_COMMENTS: Final = 5


def authentication_verdict(headers: Headers, trusted: Collection[str]) -> Verdict:
    """Return what the receiving server found out about the sender.

    Only the topmost field counts, and only if its authserv-id is in ``trusted`` (compared without case):
    everything below it may have come with the message. DMARC decides where it was evaluated; else a passed
    DKIM or SPF is a pass, and a failed one without the other a fail.
    """
    fields = headers.all_raw("authentication-results")[:1]
    if not fields:
        return "none"
    value = _without_comments(fields[0])
    server = value.partition(";")[0].split()
    if not server or server[0].strip('"').lower() not in {name.lower() for name in trusted}:
        return "none"
    return _judge(value)


def _without_comments(value: str) -> str:
    for _ in range(_MAX_NESTED_COMMENTS):
        value, found = _COMMENT.subn(" ", value)
        if not found:
            break
    return value


def _judge(value: str) -> Verdict:
    results: dict[str, set[str]] = {}
    for method, result in _RESULT.findall(value):
        results.setdefault(method.lower(), set()).add(result.lower())
    dmarc = results.get("dmarc", set())
    if dmarc & {"pass", "fail"}:
        return "fail" if "fail" in dmarc else "pass"
    simple = results.get("dkim", set()) | results.get("spf", set())
    if "pass" in simple:
        return "pass"
    return "fail" if "fail" in simple else "none"
