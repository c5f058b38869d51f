"""Waiting for the server to tell of news by itself: IDLE (RFC 2177)."""

from __future__ import annotations

import re

from mailkit.errors import ConnectionLost, InvalidArgument, ProtocolViolation
from mailkit.imap_dialogue import ORDINARY, ImapDialogue
from mailkit.imap_transport import GuardedClient, ResponseLimits

LONGEST_IDLE_SECONDS = 29 * 60.0
"""Servers may end a connection that has been silent for 30 minutes (RFC 2177 §3)."""

# Lines of IDLE are short. The bytes are those of one IDLE: a colleague who marks 50,000 mails as read is no
# attack.
_IDLING = ResponseLimits(seconds=LONGEST_IDLE_SECONDS, line=8_192, literal=0, total=4_194_304)
_NEWS = re.compile(rb"\* [0-9]{1,10} (EXISTS|RECENT|EXPUNGE)\r\n\Z", re.IGNORECASE)
_BYE = re.compile(rb"\* BYE\b", re.IGNORECASE)


class IdlingDialogue(ImapDialogue):
    """The part of an ``ImapSession`` that waits: ``start_idle``, ``wait_for_news`` …, ``end_idle``.

    No other command may be sent in between. What the server tells while IDLE begins and ends counts, too.
    """

    def __init__(self, client: GuardedClient) -> None:
        """Use ``ImapSession.open``."""
        super().__init__(client)
        self._idles = 0
        self._idle_tag = b""
        self._has_news = False

    def start_idle(self) -> None:
        """Begin to wait for news of the folder that is open.

        Raises ConnectionFailed or a kin of it, InvalidArgument while idling already.
        """
        if self._idle_tag:
            raise InvalidArgument("idling already")
        self._idles += 1
        self._idle_tag = b"W%d" % self._idles
        with self._dialogue(_IDLING):
            self._engine.stream.send(self._idle_tag + b" IDLE\r\n")
            while not (line := self._engine.stream.readline()).startswith(b"+"):
                self._take(line)

    def wait_for_news(self, seconds: float) -> bool:
        """Wait at most ``seconds``; tell whether mail came or went (EXISTS, RECENT, EXPUNGE).

        True at once where the server has told since the last call. False may come early: changed flags and
        signs of life are no news. Raises ConnectionFailed or a kin of it.
        """
        if not self._idle_tag:
            raise InvalidArgument("not idling")
        with self._dialogue(None):
            if not self._has_news and self._engine.stream.wait(seconds):
                self._take(self._engine.stream.readline())
        had_news, self._has_news = self._has_news, False
        return had_news

    def end_idle(self) -> None:
        """Say DONE. News told meanwhile is kept for the next ``wait_for_news``."""
        tag, self._idle_tag = self._idle_tag, b""
        with self._dialogue(ORDINARY):
            self._engine.stream.send(b"DONE\r\n")
            while not (line := self._engine.stream.readline()).startswith(tag + b" "):
                self._take(line)

    def interrupt(self) -> None:
        """Break the connection, from any thread: whatever waits for the server raises ConnectionLost."""
        self._engine.stream.interrupt()

    def _take(self, line: bytes) -> None:
        if _BYE.match(line):
            raise ConnectionLost(line)
        if not line.startswith(b"* "):
            raise ProtocolViolation("an answer that IDLE does not know")
        self._has_news = self._has_news or _NEWS.match(line) is not None
