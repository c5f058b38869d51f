"""Retiring, reactivating, holding, deleting: what happens, what is said before, and who may."""

from __future__ import annotations

import pytest
from django.db.models import ProtectedError
from django.test import Client
from django.urls import reverse

from audit.models import AuditEntry
from mailaccounts import connections, health
from mailaccounts.connections import AccountNotReady
from mailaccounts.models import AccountHealth, ConnectionTest, MailAccount
from mailkit.errors import AuthenticationFailed
from masterdata import roles


def _post(client, name: str, account: MailAccount):
    return client.post(reverse(f"mailaccounts:{name}", args=[account.pk]))


def test_retiring_says_first_what_happens_and_then_stops_everything(admin_client, make_account):
    account = make_account(smtp={})
    page = admin_client.get(reverse("mailaccounts:retire", args=[account.pk])).content.decode()
    assert "bleiben" in page
    account.refresh_from_db()
    assert not account.is_retired, "asking changes nothing"
    _post(admin_client, "retire", account)
    account.refresh_from_db()
    assert account.is_retired
    assert health.due_account_ids(10) == []
    for opened in (connections.imap_access, connections.smtp_access):
        with pytest.raises(AccountNotReady) as error:
            opened(account)
        assert error.value.code == "account_retired"
    assert AuditEntry.objects.filter(action="account.retired").count() == 1


def test_reactivating_polls_at_once(admin_client, make_account):
    account = make_account()
    _post(admin_client, "retire", account)
    _post(admin_client, "reactivate", account)
    assert health.due_account_ids(10) == [account.pk]
    assert AuditEntry.objects.filter(action="account.reactivated").count() == 1


def test_holding_stops_polling_only(admin_client, make_account):
    account = make_account(smtp={})
    _post(admin_client, "hold", account)
    assert health.due_account_ids(10) == []
    connections.smtp_access(MailAccount.objects.select_related("imap", "smtp").get(pk=account.pk))
    _post(admin_client, "resume", account)
    assert health.due_account_ids(10) == [account.pk]
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["account.held", "account.resumed"]


def test_resuming_lifts_a_pause_after_refused_logins(admin_client, make_account):
    account = make_account()
    for _ in range(3):
        health.record_failure(account.pk, AuthenticationFailed())
    page = admin_client.get(account.get_absolute_url()).content.decode()
    assert reverse("mailaccounts:resume", args=[account.pk]) in page
    _post(admin_client, "resume", account)
    row = AccountHealth.objects.get(account=account)
    assert (row.is_paused, row.login_failures) == (False, 0)


def test_deleting_while_nothing_hangs_on_it(admin_client, make_account):
    account = make_account(smtp={})
    health.record_failure(account.pk, AuthenticationFailed())
    response = _post(admin_client, "delete", account)
    assert response.url == reverse("mailaccounts:list")
    assert not MailAccount.objects.exists()
    assert AuditEntry.objects.get(action="account.deleted").object_label == account.display_name


def test_deleting_an_account_with_mail_explains_why_not(admin_client, make_account):
    account = make_account()
    account.mailboxes.create(name="INBOX")
    with pytest.raises(ProtectedError):
        account.delete()
    response = _post(admin_client, "delete", account)
    assert response.status_code == 422
    assert "Stattdessen stilllegen" in response.content.decode()
    assert MailAccount.objects.filter(pk=account.pk).exists()
    assert not AuditEntry.objects.filter(action="account.deleted").exists(), (
        "what did not happen is not recorded"
    )


PAGES = [
    ("list", False),
    ("create", False),
    ("account", True),
    ("health", True),
    ("retire", True),
    ("reactivate", True),
    ("delete", True),
]
WRITES = [
    ("create", False),
    ("preset_new", False),
    ("test_new", False),
    ("folders_new", False),
    ("poll_all", False),
    ("preset", True),
    ("test_imap", True),
    ("folders", True),
    ("test_mail", True),
    ("hold", True),
    ("resume", True),
    ("retire", True),
    ("reactivate", True),
    ("delete", True),
]


def _url(name: str, account: MailAccount, *, has_pk: bool) -> str:
    return reverse(f"mailaccounts:{name}", args=[account.pk] if has_pk else [])


@pytest.mark.parametrize(("name", "has_pk"), sorted({*PAGES, *WRITES}))
@pytest.mark.parametrize("role", ["", roles.STAFF, roles.AGENT, roles.AUDITOR])
def test_w1_nobody_but_mail_administrators(client, make_account, make_user, name, has_pk, role):
    account = make_account(smtp={})
    if role:
        client.force_login(make_user(role))
    url = _url(name, account, has_pk=has_pk)
    answers = {client.get(url).status_code, client.post(url).status_code}
    assert answers <= ({302} if not role else {403, 404, 405})
    if not role:
        assert "/login" in client.get(url).url
    account.refresh_from_db()
    assert not account.is_retired
    assert account.on_hold_since is None
    assert not ConnectionTest.objects.exists()


@pytest.mark.parametrize(("name", "has_pk"), WRITES)
def test_w5_writing_by_get_changes_nothing(admin_client, make_account, name, has_pk):
    account = make_account(smtp={})
    admin_client.get(_url(name, account, has_pk=has_pk))
    account.refresh_from_db()
    assert not account.is_retired
    assert account.on_hold_since is None
    assert MailAccount.objects.count() == 1
    assert not ConnectionTest.objects.exists()


@pytest.mark.parametrize(("name", "has_pk"), WRITES)
def test_w5_writing_needs_the_csrf_token(make_account, mail_administrator, name, has_pk):
    client = Client(enforce_csrf_checks=True)
    client.force_login(mail_administrator)
    assert client.post(_url(name, make_account(), has_pk=has_pk)).status_code == 403


def test_w1_owner_may_not_change_the_state(client, make_account, make_user, make_employee):
    user = make_user(roles.STAFF)
    account = make_account(kind="personal")
    account.employee_links.create(employee=make_employee(user))
    client.force_login(user)
    for name in ("retire", "hold", "resume", "delete", "test_imap", "test_mail", "folders"):
        assert _post(client, name, account).status_code == 403
    assert client.get(reverse("mailaccounts:section", args=[account.pk, "log"])).status_code == 404
