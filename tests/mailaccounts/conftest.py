"""Accounts for tests, on real and on imagined servers."""

from __future__ import annotations

import dataclasses

import pytest

from mailaccounts import connections, services
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from mailkit.network import NetworkPolicy
from masterdata.models import Address, Employee

CANARY = "Kanari-Geheimnis-4711"  # the password of every imagined account; it must show up nowhere


@pytest.fixture
def make_account(db):
    """Create an account with IMAP (``imap=None`` for none) and, when ``smtp`` is given, SMTP."""
    count = 0

    def make(
        *, imap: dict | None = (), smtp: dict | None = None, password: str = CANARY, **fields
    ) -> MailAccount:
        nonlocal count
        count += 1
        fields = {"display_name": f"Konto {count}", "email": f"konto{count}@brandis.example"} | fields
        account = MailAccount.objects.create(**fields)
        if imap is not None:
            values = {"host": "imap.brandis.example", "username": account.email, "folders": ["INBOX"]}
            row = ImapSettings(account=account, **(values | dict(imap)))
            services.store_imap_password(row, password)
            row.save()
        if smtp is not None:
            values = {"is_enabled": True, "host": "smtp.brandis.example", "port": 587, "security": "starttls"}
            SmtpSettings.objects.create(account=account, **(values | smtp))
        return MailAccount.objects.select_related("imap", "smtp").get(pk=account.pk)

    return make


@pytest.fixture
def make_employee(db):
    """Create an employee, optionally with a login."""
    count = 0

    def make(user=None, name: str = "") -> Employee:
        nonlocal count
        count += 1
        address = Address.objects.create(
            number=f"M{count}", name=name or f"Mitarbeiter {count}", is_employee=True
        )
        return Employee.objects.create(address=address, user=user)

    return make


@pytest.fixture
def admin_client(client, mail_administrator):
    """A browser signed in as mail administrator."""
    client.force_login(mail_administrator)
    return client


@pytest.fixture
def trusted(settings, authority):
    """The application trusts the certificates of the test's servers."""
    settings.MAIL_CA_FILE = authority.ca_file
    return authority


def imap_post(account: MailAccount, **changes) -> dict:
    """What the browser posts from the unchanged IMAP section, with ``changes``."""
    imap = account.imap
    values = {
        "kind": account.kind,
        "display_name": account.display_name,
        "email": account.email,
        "description": account.description,
        "preset": "own",
        "host": imap.host,
        "port": imap.port,
        "security": imap.security,
        "username": imap.username,
        "password": "",
        "folders": "\n".join(imap.folders),
        "poll_seconds": imap.poll_seconds,
        "sent_folder": imap.sent_folder,
    }
    if imap.copies_sent:
        values["copies_sent"] = "on"
    return values | changes


def smtp_post(account: MailAccount, **changes) -> dict:
    """What the browser posts from the unchanged SMTP section, with ``changes`` (None leaves a field out)."""
    smtp = getattr(account, "smtp", None) or SmtpSettings()
    names = (
        "transport",
        "host",
        "port",
        "security",
        "authentication",
        "username",
        "sender_address",
        "sender_name",
    )
    values = {name: getattr(smtp, name) for name in (*names, "client_alias")}
    values |= {"password": "", "further_senders": ""}
    values |= {name: "on" for name in ("is_enabled", "has_own_login") if getattr(smtp, name)}
    merged = values | changes
    return {name: value for name, value in merged.items() if value is not None}


def policy_without_network() -> NetworkPolicy:
    """The policy of the suite with nothing allowed at all."""
    return dataclasses.replace(connections.network_policy(), allow_loopback=False)
