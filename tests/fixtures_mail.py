"""Fixtures of mail servers, for ``pytest_plugins``. The servers live as long as the test process."""

from collections.abc import Iterator

import pytest

from mailkit.network import NetworkPolicy
from tests.certificates import Certificate, CertificateAuthority
from tests.servers import CuttingProxy, Dovecot, MailUser, SmtpSink


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """A certificate authority that only this test run trusts."""
    directory = tmp_path_factory.mktemp("authority")
    return CertificateAuthority(directory)


@pytest.fixture(scope="session")
def server_certificate(authority: CertificateAuthority) -> Certificate:
    """A good certificate for localhost."""
    return authority.issue()


@pytest.fixture(scope="session")
def dovecot(server_certificate: Certificate) -> Iterator[Dovecot]:
    """A Dovecot with all its capabilities."""
    with Dovecot(server_certificate) as server:
        yield server


@pytest.fixture(scope="session")
def bare_dovecot(server_certificate: Certificate) -> Iterator[Dovecot]:
    """A Dovecot that offers IMAP4rev1 only: no UIDPLUS, UNSELECT, SPECIAL-USE, LITERAL+, IDLE."""
    with Dovecot(server_certificate, capability="IMAP4rev1") as server:
        yield server


@pytest.fixture
def mailbox(dovecot: Dovecot) -> MailUser:
    """A new, empty mailbox on ``dovecot``."""
    return dovecot.new_user()


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """An SMTP server without TLS and login."""
    with SmtpSink() as server:
        yield server


@pytest.fixture
def smtp_sink_tls(server_certificate: Certificate) -> Iterator[SmtpSink]:
    """An SMTP server that demands STARTTLS and the login ``user`` / ``Geheim-4711``."""
    with SmtpSink(
        certificate=server_certificate, security="starttls", users={"user": "Geheim-4711"}
    ) as server:
        yield server


@pytest.fixture
def imap_proxy(dovecot: Dovecot) -> Iterator[CuttingProxy]:
    """A cutting proxy before the plain port of ``dovecot``."""
    with CuttingProxy(dovecot.port) as proxy:
        yield proxy


ANY_PORT = range(1, 65_536)


@pytest.fixture(scope="session")
def loopback_policy() -> NetworkPolicy:
    """Loopback and public networks, any port, plain text on loopback."""
    return NetworkPolicy.from_strings(["public", "loopback"], ports=ANY_PORT, plaintext=["loopback"])
