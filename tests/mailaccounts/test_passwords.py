"""A stored password goes to the server it was entered for, and nowhere else (T7)."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.urls import reverse

from audit.models import AuditEntry
from mailaccounts import connections, services
from mailaccounts.forms.imap import ImapForm
from mailaccounts.forms.smtp import SmtpForm
from mailaccounts.models import ConnectionTest, ImapSettings, MailAccount, SmtpSettings
from mailaccounts.unlocking import imap_password_targets, must_forget
from tests.mailaccounts.conftest import CANARY, imap_post, smtp_post

CHANGES = [
    {"host": "imap.evil.example"},
    {"port": 1993},
    {"port": 143, "security": "starttls"},
    {"username": "jemand-anders"},
]


def _section(account: MailAccount, slug: str) -> str:
    return reverse("mailaccounts:section", args=[account.pk, slug])


def _password(account: MailAccount) -> str:
    fresh = MailAccount.objects.select_related("imap", "smtp").get(pk=account.pk)
    return connections.imap_access(fresh).login.password if fresh.imap.password_encrypted else ""


@pytest.mark.parametrize("change", CHANGES)
def test_t7_changing_what_the_password_unlocks_warns_first_and_then_erases(
    admin_client, make_account, change
):
    account = make_account()
    url = _section(account, "imap")
    first = admin_client.post(url, imap_post(account, **change))
    assert first.status_code == 422
    assert "wird es gelöscht" in first.content.decode()
    assert first.context["owner"].imap.host == "imap.brandis.example", "the health card tells what is saved"
    assert _password(account) == CANARY
    account.imap.refresh_from_db()
    assert account.imap.host == "imap.brandis.example", "nothing is saved by the warning"
    second = admin_client.post(url, imap_post(account, **change, confirm_erase="on"))
    assert second.status_code == 302
    assert _password(account) == ""
    changes = AuditEntry.objects.get(action="section.imap").changes
    assert changes["password"] == "changed"


@pytest.mark.parametrize("change", CHANGES)
def test_t7_password_entered_in_the_same_save_is_kept(admin_client, make_account, change):
    account = make_account()
    response = admin_client.post(_section(account, "imap"), imap_post(account, **change, password="neu-4711"))
    assert response.status_code == 302
    assert _password(account) == "neu-4711"


@pytest.mark.parametrize(
    "change",
    [
        {"description": "x"},
        {"poll_seconds": 300},
        {"folders": "INBOX\nArchiv"},
        {"host": "IMAP.brandis.example."},
    ],
)
def test_w3_blank_password_leaves_it_unchanged(admin_client, make_account, change):
    account = make_account()
    assert admin_client.post(_section(account, "imap"), imap_post(account, **change)).status_code == 302
    assert _password(account) == CANARY


def test_t7_changing_the_address_keeps_the_password_while_the_user_name_stays(admin_client, make_account):
    account = make_account()
    post = imap_post(account, email="anders@brandis.example")
    assert admin_client.post(_section(account, "imap"), post).status_code == 302
    assert _password(account) == CANARY


SMTP_CHANGES = [
    {"host": "smtp.evil.example"},
    {"port": 465, "security": "tls"},
    {"port": 2525},
]


@pytest.mark.parametrize("change", SMTP_CHANGES)
def test_t7_smtp_that_borrows_the_login_erases_the_mailbox_password(admin_client, make_account, change):
    account = make_account(smtp={})
    url = _section(account, "smtp")
    first = admin_client.post(url, smtp_post(account, **change))
    assert first.status_code == 422
    assert _password(account) == CANARY
    second = admin_client.post(url, smtp_post(account, **change, confirm_erase="on"))
    assert second.status_code == 302
    assert _password(account) == ""
    assert AuditEntry.objects.get(action="section.smtp").changes["account_password"] == "changed"


@pytest.mark.parametrize("change", SMTP_CHANGES)
def test_t7_smtp_change_with_the_mailbox_password_entered_anew(admin_client, make_account, change):
    account = make_account(smtp={})
    post = smtp_post(account, **change, account_password="neu-4711")
    assert admin_client.post(_section(account, "smtp"), post).status_code == 302
    assert _password(account) == "neu-4711"


def test_t7_switching_smtp_on_towards_a_stranger_erases_too(admin_client, make_account):
    account = make_account()
    post = smtp_post(account, is_enabled="on", host="smtp.evil.example")
    assert admin_client.post(_section(account, "smtp"), post).status_code == 422
    assert _password(account) == CANARY
    assert not SmtpSettings.objects.filter(account=account).exists()


def test_t7_switching_smtp_on_at_the_same_provider_keeps_the_password(admin_client, make_account):
    account = make_account(imap={"host": "imap.ionos.de"})
    post = smtp_post(account, is_enabled="on", host="smtp.ionos.de", port=465, security="tls")
    assert admin_client.post(_section(account, "smtp"), post).status_code == 302
    assert _password(account) == CANARY


def test_t7_borrowing_again_after_an_own_login_is_a_change_too(admin_client, make_account):
    account = make_account(smtp={"has_own_login": True, "username": "u", "host": "smtp.evil.example"})
    services.store_smtp_password(account.smtp, "own")
    account.smtp.save()
    assert (
        admin_client.post(_section(account, "smtp"), smtp_post(account, has_own_login=None)).status_code
        == 422
    )
    assert _password(account) == CANARY


@pytest.mark.parametrize("change", [*SMTP_CHANGES, {"username": "v"}])
def test_t7_own_smtp_password_is_erased_with_its_server(admin_client, make_account, change):
    account = make_account(smtp={"has_own_login": True, "username": "u"})
    services.store_smtp_password(account.smtp, "own-4711")
    account.smtp.save()
    url = _section(account, "smtp")
    assert admin_client.post(url, smtp_post(account, **change)).status_code == 422
    assert admin_client.post(url, smtp_post(account, **change, confirm_erase="on")).status_code == 302
    account.smtp.refresh_from_db()
    assert account.smtp.password_encrypted == ""
    assert _password(account) == CANARY, "the mailbox password was not concerned"


def test_t7_own_smtp_password_survives_switching_off_and_on(admin_client, make_account):
    account = make_account(smtp={"has_own_login": True, "username": "u"})
    services.store_smtp_password(account.smtp, "own-4711")
    account.smtp.save()
    url = _section(account, "smtp")
    assert admin_client.post(url, smtp_post(account, is_enabled=None)).status_code == 302
    assert admin_client.post(url, smtp_post(account)).status_code == 302
    fresh = MailAccount.objects.select_related("imap", "smtp").get(pk=account.pk)
    assert connections.smtp_access(fresh).login.password == "own-4711"


@pytest.mark.parametrize("change", CHANGES)
def test_t7_test_with_a_blank_password_never_uses_the_stored_one_elsewhere(
    admin_client, make_account, change
):
    account = make_account()
    url = reverse("mailaccounts:test_imap", args=[account.pk])
    response = admin_client.post(url, imap_post(account, **change), headers={"HX-Request": "true"})
    assert "Das Passwort eintragen" in response.content.decode()
    assert not ConnectionTest.objects.exists()


def test_t7_test_of_unchanged_settings_uses_the_stored_password(admin_client, make_account):
    account = make_account()
    url = reverse("mailaccounts:test_imap", args=[account.pk])
    admin_client.post(url, imap_post(account), headers={"HX-Request": "true"})
    assert ConnectionTest.objects.count() == 1


def test_t7_test_of_a_foreign_servers_settings_with_the_pk_of_another_account(admin_client, make_account):
    victim = make_account()
    url = reverse("mailaccounts:test_imap", args=[victim.pk])
    post = imap_post(victim, host="imap.evil.example", username="")
    admin_client.post(url, post, headers={"HX-Request": "true"})
    assert not ConnectionTest.objects.exists()


def test_t7_new_account_cannot_be_tested_with_anybodys_password(admin_client, make_account):
    make_account()
    post = {"host": "imap.brandis.example", "port": 993, "security": "tls", "email": "konto1@brandis.example"}
    response = admin_client.post(reverse("mailaccounts:test_new"), post, headers={"HX-Request": "true"})
    assert "Das Passwort eintragen" in response.content.decode()
    assert not ConnectionTest.objects.exists()


@pytest.mark.parametrize("field", ["host", "port", "security", "username"])
def test_t7_every_part_of_a_target_counts(field):
    before = ImapSettings(host="a.example", port=993, security="tls", username="u")
    after = ImapSettings(host="a.example", port=993, security="tls", username="u")
    assert not must_forget(imap_password_targets(before, None), imap_password_targets(after, None))
    setattr(after, field, {"host": "b.example", "port": 1, "security": "none", "username": "v"}[field])
    assert must_forget(imap_password_targets(before, None), imap_password_targets(after, None))


def _form(form_class, account: MailAccount, user, post: dict):
    """The form of a request that has read the account and not saved it yet."""
    owner = MailAccount.objects.select_related("imap", "smtp").get(pk=account.pk)
    form = form_class(owner=owner, user=user, data=post, files=None)
    assert form.is_valid(), form.errors
    return form


def test_t7_a_save_that_overlaps_another_does_not_bring_an_erased_password_back(
    mail_administrator, make_account
):
    account = make_account(smtp={})
    renaming = _form(ImapForm, account, mail_administrator, imap_post(account, description="neu"))
    post = smtp_post(account, host="smtp.evil.example", confirm_erase="on")
    with transaction.atomic():
        _form(SmtpForm, account, mail_administrator, post).save()
    assert _password(account) == ""
    with transaction.atomic():
        renaming.save()
    assert _password(account) == ""


def test_t7_a_password_entered_meanwhile_does_not_serve_another_server(mail_administrator, make_account):
    account = make_account(smtp={})
    ImapSettings.objects.update(password_encrypted="")
    redirecting = _form(SmtpForm, account, mail_administrator, smtp_post(account, host="smtp.evil.example"))
    with transaction.atomic():
        _form(ImapForm, account, mail_administrator, imap_post(account, password=CANARY)).save()
    assert _password(account) == CANARY
    with transaction.atomic():
        redirecting.save()
    assert _password(account) == ""


def test_r39_saving_settings_does_not_revive_an_account_retired_meanwhile(mail_administrator, make_account):
    account = make_account()
    renaming = _form(ImapForm, account, mail_administrator, imap_post(account, description="neu"))
    services.retire_account(account=account, by=mail_administrator)
    with transaction.atomic():
        renaming.save()
    account.refresh_from_db()
    assert account.is_retired
