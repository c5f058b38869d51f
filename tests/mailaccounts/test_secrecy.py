"""A password is written and never seen again: on no page, in no export, log, audit or test (W3, T9)."""

from __future__ import annotations

import base64
import logging

import pytest
from django.apps import apps
from django.urls import reverse

from mailaccounts import health, services
from mailaccounts.models import ConnectionTest, MailAccount
from mailaccounts.tasks import run_connection_test
from mailkit.errors import AuthenticationFailed
from tests.mailaccounts.conftest import CANARY, imap_post, smtp_post

HTMX = {"HX-Request": "true"}
FORMS = (
    CANARY,
    base64.b64encode(CANARY.encode()).decode(),
    base64.b64encode(f"\0u\0{CANARY}".encode()).decode(),
)


@pytest.fixture
def account(make_account, dovecot, mailbox) -> MailAccount:
    """An account with the canary as both passwords, on a server that refuses it."""
    imap = {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "username": mailbox.username}
    account = make_account(imap=imap, smtp={"has_own_login": True, "username": "u"})
    services.store_smtp_password(account.smtp, CANARY)
    account.smtp.save()
    return account


def _content(response) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return body.decode() + str(response.headers)


def _walk(client, account: MailAccount) -> list[str]:
    """Everything the browser gets to see when somebody works with the account."""
    test_url = reverse("mailaccounts:test_imap", args=[account.pk])
    seen = [
        client.post(test_url, imap_post(account), headers=HTMX),
        client.post(test_url, imap_post(account, password=CANARY + "x", host="169.254.1.1"), headers=HTMX),
    ]
    for test in ConnectionTest.objects.all():
        run_connection_test(str(test.uuid))
        seen.append(client.get(reverse("mailaccounts:test", args=[test.uuid])))
    tabs = [
        reverse("mailaccounts:section", args=[account.pk, slug])
        for slug in ("imap", "smtp", "employees", "log")
    ]
    seen += [client.get(tab) for tab in tabs]
    imap_url = reverse("mailaccounts:section", args=[account.pk, "imap"])
    smtp_url = reverse("mailaccounts:section", args=[account.pk, "smtp"])
    seen += [
        client.post(imap_url, imap_post(account, password=CANARY, email="kein-at")),
        client.post(imap_url, imap_post(account, host="b.example")),
        client.post(smtp_url, smtp_post(account, password=CANARY, host="")),
        client.post(reverse("mailaccounts:create"), imap_post(account, password=CANARY)),
        client.post(reverse("mailaccounts:preset_new"), imap_post(account, password=CANARY, preset="gmail")),
        client.get(reverse("mailaccounts:list")),
        client.get(reverse("mailaccounts:list"), {"format": "csv"}),
        client.get(reverse("mailaccounts:health", args=[account.pk])),
        client.get(reverse("mailaccounts:retire", args=[account.pk])),
        client.get(reverse("mailaccounts:delete", args=[account.pk])),
    ]
    return [_content(response) for response in seen]


@pytest.mark.servers
def test_w3_t9_canary_is_nowhere(admin_client, account, caplog):
    caplog.set_level(logging.DEBUG)
    health.record_failure(account.pk, AuthenticationFailed("NO"))
    saved = admin_client.post(
        reverse("mailaccounts:section", args=[account.pk, "imap"]),
        imap_post(account, password=CANARY, description="x"),
    )
    assert saved.status_code == 302
    pages = _walk(admin_client, MailAccount.objects.select_related("imap", "smtp").get(pk=account.pk))
    everything = [*pages, caplog.text, _dump_of_the_database()]
    for form in FORMS:
        assert [form in text for text in everything] == [False] * len(everything)


def _dump_of_the_database() -> str:
    rows = [str(list(model._base_manager.values())) for model in apps.get_models()]
    return "\n".join(rows)


def test_w3_ciphertext_is_not_shown_either(admin_client, account):
    pages = "".join(_walk(admin_client, account))
    assert account.imap.password_encrypted not in pages
    assert account.smtp.password_encrypted not in pages
