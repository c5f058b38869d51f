"""UIDs and sets of them (RFC 3501 §2.3.1.1, §9)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mailkit.errors import InvalidArgument

LARGEST_UID = 2**32 - 1
_UIDS_A_COMMAND = 500
_NUMBER = re.compile(rb"(?<![^ ])[0-9]{1,10}(?![^ ])")


def is_uid(value: object) -> bool:
    """Tell whether ``value`` is a number that can be a UID: 1 to 2³²−1."""
    return isinstance(value, int) and 1 <= value <= LARGEST_UID


def uid_set(uids: Iterable[int]) -> str:
    """Return ``uids`` as a sequence-set, ``1:3,7``. Raises InvalidArgument at an impossible UID."""
    ranges: list[list[int]] = []
    for uid in sorted(set(uids)):
        if not is_uid(uid):
            raise InvalidArgument("not a UID")
        if ranges and ranges[-1][1] == uid - 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


def read_uids(lines: Iterable[Any]) -> list[int]:
    """Read the numbers of SEARCH responses: each once, ascending, the impossible left out (B90)."""
    uids = array("Q")  # a list of tokens would cost twenty times the line
    for line in lines:
        if isinstance(line, bytes):
            uids.extend(int(number.group()) for number in _NUMBER.finditer(line))
    return sorted({uid for uid in uids if is_uid(uid)})


def slices(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut ``uids`` into pieces that fit a command line (RFC 2683 §3.2.1.5 advises 8,000 octets)."""
    for start in range(0, len(uids), _UIDS_A_COMMAND):
        yield uids[start : start + _UIDS_A_COMMAND]
