"""One HTTPS request to a vetted address, for what mail needs of the web: tokens.

A redirect is an answer like any other and never followed; there are no proxies, cookies and retries. The
connection goes to an address that the policy allows (W11), inside verified TLS, and the answer is bounded in
bytes and seconds.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from mailkit.endpoint import Endpoint, connect
from mailkit.errors import ConnectionLost, InvalidArgument, ProtocolViolation
from mailkit.imap_transport import ResponseLimits, SocketReader
from mailkit.network import NetworkPolicy, ascii_host

_LARGEST_ANSWER = 262_144
_JSON = {"Accept": "application/json", "Connection": "close"}


@dataclass(frozen=True)
class HttpsClient:
    """How to reach servers: ``networks`` in the environment's words, ``timeout`` seconds for each half.

    ``ca_file``: PEM of a company's own authority, trusted besides the system's.
    """

    networks: tuple[str, ...]
    ca_file: str | None = None
    timeout: float = 10.0

    def post_form(self, url: str, fields: Mapping[str, str]) -> HttpReply:
        """POST ``fields`` as ``application/x-www-form-urlencoded``.

        Raises ConnectionFailed and its kin, and InvalidArgument for a URL that is not https.
        """
        body = urlencode(fields).encode("ascii")
        return self._request("POST", url, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def _request(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> HttpReply:
        endpoint, target = self._endpoint(url)
        sock = connect(endpoint)
        connection = http.client.HTTPConnection(ascii_host(endpoint.host), endpoint.port)
        connection.default_port = 443  # it stands in no Host header
        connection.sock = _BoundedSocket(sock, self.timeout)
        try:
            connection.request(method, target, body, {**_JSON, **headers})
            response = connection.getresponse()
            return HttpReply(response.status, response.read())
        except http.client.IncompleteRead:
            raise ConnectionLost("end of stream inside an answer") from None
        except http.client.HTTPException as error:
            raise ProtocolViolation(type(error).__name__) from None
        except OSError as error:
            raise ConnectionLost(error.strerror or type(error).__name__) from None
        finally:
            sock.close()

    def _endpoint(self, url: str) -> tuple[Endpoint, str]:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise InvalidArgument("only https URLs are asked")
        port = parts.port or 443
        policy = NetworkPolicy.from_strings(self.networks, ports=[port])
        endpoint = Endpoint(parts.hostname, port, "tls", policy, self.ca_file, self.timeout)
        return endpoint, parts._replace(scheme="", netloc="", fragment="").geturl() or "/"


@dataclass(frozen=True)
class HttpReply:
    """An answer's status and body; the body, which may hold a token, is in no ``repr``."""

    status: int
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """Return the object in the body, {} where it holds none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class _BoundedSocket:
    """All that http.client asks of a socket, its answer under one deadline and one byte budget."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._seconds = seconds

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._seconds)
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        reader = SocketReader(self._sock, self._seconds)
        reader.begin(ResponseLimits(seconds=self._seconds, total=_LARGEST_ANSWER))
        return io.BufferedReader(reader)

    def close(self) -> None:
        """Stay open: http.client calls this when the headers are read, before the body is."""
