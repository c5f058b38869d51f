"""TLS: always verified, one shared context per trust setting, errors that say what a certificate lacks."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from functools import lru_cache

from mailkit.errors import CertificateInvalid, ConnectionFailed, ConnectionLost, ConnectionTimeout, TlsFailed

# Numbers of OpenSSL's x509_vfy.h, as SSLCertVerificationError.verify_code reports them.
_REASON_BY_VERIFY_CODE = {
    9: "expired",  # not yet valid: to a person the same story, a wrong date
    10: "expired",
    18: "self-signed",
    62: "hostname",
    64: "hostname",
}


@lru_cache(maxsize=8)
def client_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return the context that trusts the system's authorities and, when given, those in ``ca_file`` (PEM).

    Shared, because building one costs 30 ms of CPU: most of a poll. A changed CA file is read at the next
    start. There is no way to switch verification off. Raises TlsFailed when the file cannot be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise TlsFailed(f"{ca_file}: {error}", code="ca_file_unreadable") from None
    return context


def start_tls(sock: socket.socket, host: str, ca_file: str | None, timeout: float) -> ssl.SSLSocket:
    """Return ``sock`` in verified TLS, the certificate checked against ``host``, within ``timeout`` seconds.

    On failure the socket is closed and CertificateInvalid, TlsFailed, ConnectionTimeout or ConnectionLost
    raised.
    """
    try:
        sock.settimeout(timeout)
        return client_context(ca_file).wrap_socket(sock, server_hostname=host)
    except OSError as error:
        sock.close()
        raise tls_error(error) from None


def certificate_facts(connection: ssl.SSLSocket | ssl.SSLObject) -> dict[str, str]:
    """Tell the protocol version and until which day (ISO 8601, UTC) the server's certificate is valid."""
    not_after = str((connection.getpeercert() or {}).get("notAfter", ""))
    until = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC).date().isoformat()
        if not_after
        else ""
    )
    return {"version": connection.version() or "", "valid_until": until}


def tls_error(error: OSError) -> ConnectionFailed:
    """Translate what a handshake raised (SSLError is an OSError)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _REASON_BY_VERIFY_CODE.get(error.verify_code, "untrusted")
        return CertificateInvalid(error.verify_message or str(error), reason=reason)
    if isinstance(error, TimeoutError):
        return ConnectionTimeout("no answer to the TLS handshake")
    if isinstance(error, ssl.SSLError):
        return TlsFailed(error.reason or str(error))
    return ConnectionLost(f"during the TLS handshake: {error.strerror or error}")
