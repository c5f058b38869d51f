"""TLS settings: shared, verified, current."""

import socket
import ssl
import threading

import pytest

from mailkit.errors import TlsFailed
from mailkit.tls import client_context, start_tls
from tests.servers import Certificate, CertificateAuthority


def test_p5_one_context_per_trust_setting(authority: CertificateAuthority):
    assert client_context(authority.ca_file) is client_context(authority.ca_file)
    assert client_context(authority.ca_file) is not client_context(None)


def test_t10_verification_cannot_be_missing(authority: CertificateAuthority):
    for context in (client_context(None), client_context(authority.ca_file)):
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_t10_an_old_protocol_is_refused(authority: CertificateAuthority, server_certificate: Certificate):
    context = server_certificate.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with pytest.raises(OSError):
            context.wrap_socket(theirs, server_side=True)
        theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(TlsFailed):
        start_tls(ours, "localhost", authority.ca_file, 5)
    thread.join()


def test_a_missing_ca_file_is_named():
    with pytest.raises(TlsFailed) as caught:
        client_context("/nonexistent/ca.pem")
    assert caught.value.code == "ca_file_unreadable"
    assert "/nonexistent/ca.pem" in caught.value.detail
