"""Opening IMAP sessions to the servers of a test."""

from mailkit.imap import ImapEndpoint, ImapSession, PasswordLogin
from mailkit.network import NetworkPolicy
from tests.fixtures_mail import ANY_PORT
from tests.servers import Dovecot, MailUser
from tests.stubs.scripted import ScriptedServer

POLICY = NetworkPolicy.from_strings(["loopback"], ports=ANY_PORT, plaintext=["loopback"])
STUB_LOGIN = PasswordLogin("anna@firma.example", "Kanarienvogel-4711")


def open_dovecot(server: Dovecot, user: MailUser, *, port: int | None = None) -> ImapSession:
    """Log ``user`` in over the plain port, or over ``port``, such as a proxy's."""
    endpoint = ImapEndpoint("127.0.0.1", port or server.port, "none", POLICY)
    return ImapSession.open(endpoint, PasswordLogin(user.username, user.password))


def stub_endpoint(
    server: ScriptedServer, *, security: str = "none", ca_file: str | None = None, timeout: float = 10.0
) -> ImapEndpoint:
    """Return the endpoint of a scripted server."""
    host = "127.0.0.1" if security == "none" else "localhost"
    return ImapEndpoint(host, server.port, security, POLICY, ca_file, timeout)


def open_stub(server: ScriptedServer, **options: object) -> ImapSession:
    """Log in to a scripted server."""
    return ImapSession.open(stub_endpoint(server, **options), STUB_LOGIN)
