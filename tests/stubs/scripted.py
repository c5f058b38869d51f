"""Servers that say exactly the bytes a test tells them to, whatever the RFC forbids."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping

from tests.certificates import Certificate

Answer = bytes | Callable[["Dialogue", bytes], bytes | None]
Script = Callable[["Dialogue"], None]


class Dialogue:
    """One connection, seen from the server. ``received`` holds every byte the client sent, TLS removed."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""
        self._pending = b""
        self.lines: list[bytes] = []
        self.is_over = threading.Event()

    def send(self, data: bytes) -> None:
        """Send exactly ``data``."""
        self.sock.sendall(data)

    def readline(self) -> bytes:
        """Return the client's next line; EOFError when it has gone."""
        while b"\n" not in self._pending:
            self._receive()
        line, _, self._pending = self._pending.partition(b"\n")
        self.lines.append(line + b"\n")
        return line + b"\n"

    def read(self, count: int) -> bytes:
        """Return the client's next ``count`` bytes."""
        while len(self._pending) < count:
            self._receive()
        data, self._pending = self._pending[:count], self._pending[count:]
        return data

    def _receive(self) -> None:
        data = self.sock.recv(65_536)
        if not data:
            raise EOFError
        self.received += data
        self._pending += data

    def start_tls(self, certificate: Certificate) -> None:
        """Become the server side of a TLS handshake."""
        self.sock = certificate.server_context().wrap_socket(self.sock, server_side=True)

    def hold(self) -> None:
        """Neither read nor write until the test is over."""
        self.is_over.wait(30)

    def wait_for_end(self) -> None:
        """Swallow whatever comes until the client has gone."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._receive()


class ScriptedServer:
    """Runs ``script`` for every connection, in threads. ``certificate``: TLS from the first byte."""

    def __init__(self, script: Script, *, certificate: Certificate | None = None) -> None:
        self._script, self._certificate = script, certificate
        self.host = "localhost"
        self.dialogues: list[Dialogue] = []

    def __enter__(self) -> "ScriptedServer":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for dialogue in self.dialogues:
            dialogue.is_over.set()
            with contextlib.suppress(OSError):
                dialogue.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    @property
    def received(self) -> bytes:
        """Every byte that any client sent."""
        return b"".join(dialogue.received for dialogue in self.dialogues)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                dialogue = Dialogue(sock)
                self.dialogues.append(dialogue)
                thread = threading.Thread(target=self._serve, args=(dialogue,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, dialogue: Dialogue) -> None:
        # The client leaving, or refusing our certificate, ends a script; what it did is the test's to judge.
        with contextlib.suppress(EOFError, OSError, ssl.SSLError):
            if self._certificate:
                dialogue.start_tls(self._certificate)
            self._script(dialogue)
        with contextlib.suppress(OSError):
            dialogue.sock.shutdown(socket.SHUT_RDWR)
        dialogue.sock.close()


GREETING = b"* OK IMAP4rev1 ready\r\n"
OPENED = b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 10] ok\r\n"
IMAP_ANSWERS: dict[bytes, Answer] = {
    b"CAPABILITY": b"* CAPABILITY IMAP4rev1 UIDPLUS UNSELECT\r\n{tag} OK done\r\n",
    b"LOGIN": b"{tag} OK logged in\r\n",
    b"EXAMINE": OPENED + b"{tag} OK [READ-ONLY] done\r\n",
    b"SELECT": OPENED + b"{tag} OK [READ-WRITE] done\r\n",
    b"LOGOUT": b"* BYE see you\r\n{tag} OK bye\r\n",
}


def imap_script(answers: Mapping[bytes, Answer] | None = None, *, greeting: bytes = GREETING) -> Script:
    """Return a script that greets and answers commands by ``answers``, by ``IMAP_ANSWERS``, or with OK.

    Keys are commands in upper case, ``UID FETCH`` included; ``{tag}`` stands for the client's tag.
    An answer may be a function of the dialogue and the line; None from it ends the connection.
    """
    table = IMAP_ANSWERS | dict(answers or {})

    def serve(dialogue: Dialogue) -> None:
        dialogue.send(greeting)
        while True:
            line = dialogue.readline()
            answer = _answer(table, dialogue, line)
            if answer is None:
                return
            dialogue.send(answer.replace(b"{tag}", line.split(b" ", 1)[0]))

    return serve


def _answer(table: Mapping[bytes, Answer], dialogue: Dialogue, line: bytes) -> bytes | None:
    match = re.match(rb"\S+ (UID )?(\S+)", line)
    command = ((match.group(1) or b"") + match.group(2)).upper() if match else b""
    answer = table.get(command, b"{tag} OK done\r\n")
    return answer(dialogue, line) if callable(answer) else answer


def says(data: bytes):
    """Return an answer that says ``data`` and then nothing, the connection held open."""

    def answer(dialogue, line):
        dialogue.send(data.replace(b"{tag}", line.split(b" ")[0]))
        dialogue.wait_for_end()

    return answer


SMTP_ANSWERS: dict[bytes, Answer] = {
    b"EHLO": b"250-stub.example\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n",
    b"DATA": b"354 go on\r\n",
    b"DOT": b"250 2.0.0 queued\r\n",
    b"QUIT": b"221 bye\r\n",
}


def smtp_script(
    answers: Mapping[bytes, Answer] | None = None, *, greeting: bytes = b"220 stub.example ESMTP\r\n"
) -> Script:
    """Return a script that greets and answers each command: by ``answers``, by ``SMTP_ANSWERS``, or with 250.

    Keys are verbs in upper case; ``DOT`` is the end of the message. None from a function ends the connection.
    """
    table = SMTP_ANSWERS | dict(answers or {})

    def serve(dialogue: Dialogue) -> None:
        dialogue.send(greeting)
        in_data = False
        while True:
            line = dialogue.readline()
            if in_data and line != b".\r\n":
                continue
            verb = b"DOT" if in_data else line.split(b" ")[0].strip().upper()
            answer = table.get(verb, b"250 ok\r\n")
            reply = answer(dialogue, line) if callable(answer) else answer
            if reply is None:
                return
            in_data = verb == b"DATA" and reply.startswith(b"354")
            dialogue.send(reply)

    return serve
