"""Where the mails go: an SMTP sink that asks for a login, or a Postfix that hands them on."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.server_postfix import Postfix
from tests.servers import SmtpScript, SmtpSink, wait_until

USERNAME = "soak"
_RECEIVED = re.compile(rb"\AReceived: .*\r\n(?:[ \t].*\r\n)*")
_MESSAGE_ID = re.compile(rb"^Message-ID: <([^>\r\n]+)>", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wire:
    """What arrived: copies by Message-ID and recipient, and the bytes of each by Message-ID."""

    copies: Counter[tuple[str, str]]
    contents: dict[str, set[bytes]]


@dataclass
class Mta:
    """A sink that asks for a login and plays by a script, and a Postfix whose mail ends in a second sink."""

    sink: SmtpSink
    relayed: SmtpSink
    postfix: Postfix | None

    def reset(self) -> None:
        """Forget what earlier scenarios left."""
        self.sink.script = SmtpScript()
        for sink in (self.sink, self.relayed):
            sink.transactions.clear()

    def arrived(self) -> Wire:
        """Everything that was accepted since, once Postfix has handed on what it has."""
        if self.postfix:
            postfix = self.postfix
            wait_until(lambda: postfix.is_idle, "Postfix hands everything on", 60)
        wire = Wire(Counter(), {})
        for one in [*self.sink.transactions, *self.relayed.transactions]:
            content = _RECEIVED.sub(b"", one.content) if one.username is None else one.content
            message_id = message_ids(content)[0]
            wire.copies.update((message_id, address) for address in one.recipients)
            wire.contents.setdefault(message_id, set()).add(content)
        return wire


def message_ids(stream: bytes) -> list[str]:
    """The Message-IDs of the mails in a stream of bytes, in order, without brackets."""
    return [found.decode() for found in _MESSAGE_ID.findall(stream)]


@contextmanager
def open_mta(password: str) -> Iterator[Mta]:
    """Start all of it; without root, or without Postfix, the sink stands in for it."""
    warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")  # which nothing could cut
    with SmtpSink(users={USERNAME: password}) as sink, SmtpSink() as relayed:
        if os.geteuid() == 0 and shutil.which("postfix", path="/usr/sbin"):
            with Postfix(relayed.port) as postfix:
                yield Mta(sink, relayed, postfix)
        else:
            yield Mta(sink, relayed, None)
