"""Opening SMTP sessions to the servers of a test."""

from mailkit.delivery import DeliveryResult
from mailkit.network import NetworkPolicy
from mailkit.smtp import MailTransport, PasswordLogin, SmtpEndpoint, SmtpSession
from tests.fixtures_mail import ANY_PORT

POLICY = NetworkPolicy.from_strings(["loopback"], ports=ANY_PORT, plaintext=["loopback"])
LOGIN = PasswordLogin("user", "Geheim-4711")
RAW = b"Subject: Angebot\r\n\r\nGuten Tag\r\n.\r\n..zwei\r\n.eins\r\n"
ANNA, BERT, CARL = "anna@kunde.example", "bert@kunde.example", "carl@kunde.example"


def smtp_endpoint(server: object, *, security: str = "none", **options: object) -> SmtpEndpoint:
    """Return the endpoint of a test server."""
    host = "127.0.0.1" if security == "none" else "localhost"
    options = {"timeout": 5.0, "dot_timeout": 5.0, "ehlo_name": "erp.example"} | options
    return SmtpEndpoint(host, server.port, security, POLICY, **options)


def open_smtp(
    server: object, login: PasswordLogin | None = None, *, transcript=None, **options
) -> SmtpSession:
    """Connect to a test server."""
    return SmtpSession.open(smtp_endpoint(server, **options), login, transcript=transcript)


def send(
    transport: MailTransport,
    *recipients: str,
    raw: bytes = RAW,
    sender: str = "erp@firma.example",
    before_dot=None,
) -> DeliveryResult:
    """Send ``raw``, to Anna unless told otherwise."""
    return transport.send(sender, recipients or (ANNA,), raw, before_dot=before_dot or (lambda: None))
