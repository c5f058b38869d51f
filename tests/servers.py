"""Real servers for tests: Dovecot, an aiosmtpd sink, and a TCP proxy that cuts.

Each is a context manager with ports of its own, ready when it answers and stopped by its process id. Several
test processes may run them side by side.
"""

from tests.certificates import Certificate, CertificateAuthority
from tests.server_basics import free_port, require_program, wait_until
from tests.server_dovecot import Dovecot, MailUser
from tests.server_proxy import Cut, CuttingProxy
from tests.server_smtp import SmtpScript, SmtpSink, Transaction

__all__ = [
    "Certificate",
    "CertificateAuthority",
    "Cut",
    "CuttingProxy",
    "Dovecot",
    "MailUser",
    "SmtpScript",
    "SmtpSink",
    "Transaction",
    "free_port",
    "require_program",
    "wait_until",
]
