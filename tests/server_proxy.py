"""A TCP proxy that records and cuts."""

import contextlib
import re
import socket
import threading
from dataclasses import dataclass

from tests.server_basics import wait_until


@dataclass
class Cut:
    """When to close both sides: after ``after`` bytes, or right after ``pattern``, in what the *server* (else
    the client) sends. ``times`` limits how often. ``is_silent``: pass on no more, and close nothing."""

    after: int | None = None
    pattern: bytes | None = None
    from_server: bool = True
    includes_match: bool = True
    is_silent: bool = False
    times: int = 1_000_000

    def position(self, stream: bytes) -> int | None:
        """Return how many bytes of ``stream`` may pass when it is to be cut, else None."""
        if self.times <= 0:
            return None
        if self.after is not None:
            return self.after if len(stream) >= self.after else None
        match = re.search(self.pattern, stream, re.DOTALL) if self.pattern else None
        if match is None:
            return None
        return match.end() if self.includes_match else match.start()


@dataclass
class Gate(Cut):
    """Not a cut: from ``pattern`` on everything waits, for a minute at most, until :meth:`open`."""

    def __post_init__(self) -> None:
        self._is_reached, self._is_open = threading.Event(), threading.Event()

    def position(self, stream: bytes) -> int | None:
        """Wait where the pattern has come; nothing is ever cut."""
        if not self._is_open.is_set() and self.pattern and re.search(self.pattern, stream, re.DOTALL):
            self._is_reached.set()
            self._is_open.wait(60)
        return None

    def is_reached(self) -> bool:
        """Whether somebody waits, or has waited."""
        return self._is_reached.is_set()

    def open(self) -> None:
        """Let everything pass from now on."""
        self._is_open.set()


class CuttingProxy:
    """A TCP proxy to ``port`` of 127.0.0.1 that records both directions of each connection, and cuts."""

    def __init__(self, port: int) -> None:
        self._upstream_port = port
        self.host = "localhost"
        self.cut: Cut | None = None
        self.from_client: list[bytes] = []
        self.from_server: list[bytes] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> "CuttingProxy":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            _close(sock)
        self._thread.join(5)

    def wait_for_client(self, count: int, connection: int = 0) -> int:
        """Wait until the client has sent ``count`` bytes; return how many it has sent."""
        wait_until(lambda: len(self.from_client[connection]) >= count, f"the client sends {count} bytes")
        return len(self.from_client[connection])

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream_port))
            except OSError:
                _close(client)
                continue
            self._open += [client, server]
            number = len(self.from_client)
            self.from_client.append(b"")
            self.from_server.append(b"")
            for source, target, record, is_server in (
                (client, server, self.from_client, False), (server, client, self.from_server, True)
            ):  # fmt: skip
                threading.Thread(
                    target=self._pump, args=(source, target, record, number, is_server), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, target: socket.socket, record: list[bytes], number: int, is_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                passed = len(record[number])
                record[number] += data
                cut = self.cut
                end = cut.position(record[number]) if cut and cut.from_server == is_server else None
                if end is not None and cut:
                    cut.times -= 1
                    if not cut.is_silent:
                        _close(source)  # first, lest an answer to what passes get through
                    target.sendall(record[number][passed : max(end, passed)])
                    while cut.is_silent and source.recv(65_536):
                        pass
                    break
                target.sendall(data)
        _close(source)
        _close(target)


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
