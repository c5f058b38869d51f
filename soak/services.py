"""The servers that scenarios run against, started once for many of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts import with_services
from soak.mta import Mta, open_mta
from tests.certificates import CertificateAuthority
from tests.servers import Dovecot

CANARY = "Kanarienvogel-7261"
"""The password of every mailbox: it must turn up nowhere (I5)."""


@dataclass(frozen=True)
class Services:
    """Servers for the scenarios of one process, which are the only ones to use them.

    The database is that of Django's settings. It may be stopped and started where ``owns_database``.
    """

    folder: Path
    dovecot: Dovecot
    bare_dovecot: Dovecot
    mta: Mta
    broker_url: str
    owns_database: bool


@contextmanager
def open_services(*, owns_database: bool) -> Iterator[Services]:
    """Start what is needed besides the database: both kinds of Dovecot, an MTA, and a Redis."""
    with tempfile.TemporaryDirectory(prefix="erp-soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        certificate = CertificateAuthority(folder).issue()
        with (
            Dovecot(certificate, password=CANARY) as dovecot,
            Dovecot(certificate, password=CANARY, capability="IMAP4rev1") as bare_dovecot,
            open_mta(CANARY) as mta,
            with_services.redis(folder) as broker_url,
        ):
            yield Services(folder, dovecot, bare_dovecot, mta, broker_url, owns_database)
