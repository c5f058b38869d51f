"""Accounts and drafts for the tests of the outbox."""

from __future__ import annotations

import pytest

from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from mailkit.addresses import Address
from outbound.drafts import Draft
from outbound.models import OutgoingMessage


@pytest.fixture
def make_account(db):
    """Create an account: ``make_account("a@firma.example", port=2525, further=("@x.example",))``."""

    def make(
        email="service@firma.example",
        *,
        port=25,
        smtp=True,
        further=(),
        sent_folder="",
        imap_port=143,
        **fields,
    ) -> MailAccount:
        smtp_fields = {name: fields.pop(name) for name in list(fields) if name in SMTP_FIELDS}
        account = MailAccount.objects.create(**{"display_name": "Firma Service", "email": email, **fields})
        SmtpSettings.objects.create(
            **{
                "account": account, "is_enabled": smtp, "host": "127.0.0.1", "port": port, "security": "none",
                "authentication": "none", **smtp_fields,
            }
        )  # fmt: skip
        ImapSettings.objects.create(
            account=account, host="127.0.0.1", port=imap_port, security="none", username="service",
            folders=["INBOX"],
            copies_sent=bool(sent_folder), sent_folder=sent_folder,
        )  # fmt: skip
        for pattern in further:
            account.further_senders.create(pattern=pattern)
        return account

    return make


SMTP_FIELDS = {field.name for field in SmtpSettings._meta.fields} - {"id", "uuid", "account"}


def draft(**fields) -> Draft:
    """A ticket answer from service@firma.example to one customer."""
    return Draft(
        **{
            "from_address": "service@firma.example",
            "to": [Address("Clara Meinhold", "c.meinhold@kunde.example")],
            "subject": "Re: Förderband FB-220 steht [#20261124-00042]",
            "text": "Guten Tag Frau Meinhold,\n\nder Motorschutz ist getauscht.\n",
            "purpose": OutgoingMessage.Purpose.TICKET,
            **fields,
        }
    )
