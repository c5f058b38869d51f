"""What the forms accept, in the user's words, and that they change nothing else (T8, W2)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from django.urls import reverse

from audit.models import AuditEntry
from mailaccounts import connections, selectors
from mailaccounts.models import FurtherSender, ImapSettings, MailAccount, MailAccountEmployee, SmtpSettings
from tests.mailaccounts.conftest import CANARY, imap_post, smtp_post


def _section(account: MailAccount, slug: str) -> str:
    return reverse("mailaccounts:section", args=[account.pk, slug])


def _row(instance) -> dict:
    return type(instance).objects.filter(pk=instance.pk).values().get()


def _forged(models) -> dict:
    """A value for every field of the models, as an attacker would post it."""
    values = {
        "DateTimeField": "2020-01-01T00:00",
        "BooleanField": "on",
        "UUIDField": str(uuid.uuid4()),
        "JSONField": "[]",
    }
    forged = {}
    for model in models:
        for field in model._meta.get_fields(include_hidden=True):
            kind = field.get_internal_type() if hasattr(field, "get_internal_type") else ""
            forged[field.name] = values.get(kind, "1")
            forged[f"{field.name}_id"] = "1"
    return forged


ALL_MODELS = (MailAccount, ImapSettings, SmtpSettings, FurtherSender, MailAccountEmployee)


def test_w2_t8_imap_section_changes_its_own_fields_only(admin_client, make_account):
    other = make_account()
    account = make_account(smtp={"has_own_login": True, "username": "u"})
    before = {row: _row(row) for row in (account, account.imap, account.smtp, other, other.imap)}
    post = _forged(ALL_MODELS) | imap_post(account, description="geändert", sent_folder="Sent")
    assert admin_client.post(_section(account, "imap"), post).status_code == 302
    changed = {
        (type(row).__name__, name): value
        for row, old in before.items()
        for name, value in _row(row).items()
        if value != old[name]
    }
    allowed = {
        ("MailAccount", "description"): "geändert",
        ("ImapSettings", "copies_sent"): True,
        ("ImapSettings", "sent_folder"): "Sent",
    }
    assert {key: value for key, value in changed.items() if key not in allowed} == {}
    assert MailAccount.objects.count() == 2


def test_w2_t8_smtp_section_changes_its_own_fields_only(admin_client, make_account):
    account = make_account(smtp={"has_own_login": True, "username": "u", "password_encrypted": "x"})
    SmtpSettings.objects.filter(pk=account.smtp.pk).update(debug_until=None)
    account.refresh_from_db()
    before = {row: _row(row) for row in (account, account.imap, account.smtp)}
    post = _forged(ALL_MODELS) | smtp_post(account, sender_name="Neu", is_standard="on")
    assert admin_client.post(_section(account, "smtp"), post).status_code == 302
    changed = {
        (type(row).__name__, name)
        for row, old in before.items()
        for name, value in _row(row).items()
        if value != old[name]
    }
    assert changed == {("SmtpSettings", "sender_name"), ("MailAccount", "is_standard")}


@pytest.mark.parametrize("slug", ["employees", "log"])
def test_w2_t8_other_sections_touch_no_field(admin_client, make_account, slug):
    account = make_account(smtp={})
    before = [_row(row) for row in (account, account.imap, account.smtp)]
    admin_client.post(_section(account, slug), _forged(ALL_MODELS) | {"employees": []})
    assert [_row(row) for row in (account, account.imap, account.smtp)] == before


def test_w2_t8_creating_sets_what_the_form_has_and_nothing_else(admin_client):
    forged = _forged(ALL_MODELS)
    post = forged | _new_account() | {"employees": []}
    assert admin_client.post(reverse("mailaccounts:create"), post).status_code == 302
    account = MailAccount.objects.select_related("imap").get()
    assert str(account.uuid) != forged["uuid"]
    assert (account.is_standard, account.retired_at, account.on_hold_since) == (False, None, None)
    assert connections.imap_access(account).login.password == CANARY
    assert not hasattr(account, "smtp")


def _new_account(**changes) -> dict:
    values = {
        "kind": "company",
        "display_name": "Zentrale",
        "email": "info@brandis.example",
        "description": "",
        "preset": "own",
        "host": "imap.brandis.example",
        "port": 993,
        "security": "tls",
        "username": "",
        "password": CANARY,
        "folders": "INBOX",
        "poll_seconds": 60,
        "sent_folder": "Gesendet",
        "employees": [],
        "also_sends": "",
    }
    return {name: value for name, value in (values | changes).items() if value not in ("", [])}


def test_new_account_signs_in_with_its_address_and_is_audited(admin_client, mail_administrator):
    assert admin_client.post(reverse("mailaccounts:create"), _new_account()).status_code == 302
    account = MailAccount.objects.get()
    assert account.imap.username == "info@brandis.example"
    entry = AuditEntry.objects.get(action="account.created")
    assert entry.actor == mail_administrator
    assert entry.changes["host"] == [None, "imap.brandis.example"]
    assert entry.changes["password"] == "changed"


def test_preset_sets_up_sending_too(admin_client):
    post = _new_account(preset="ionos", host="imap.ionos.de", also_sends="on")
    admin_client.post(reverse("mailaccounts:create"), post)
    account = MailAccount.objects.select_related("imap", "smtp").get()
    access = connections.smtp_access(account)
    assert (access.endpoint.host, access.endpoint.port, access.endpoint.security) == (
        "smtp.ionos.de",
        465,
        "tls",
    )
    assert access.login.password == CANARY


def test_preset_whose_server_was_replaced_sets_up_no_sending(admin_client):
    admin_client.post(reverse("mailaccounts:create"), _new_account(preset="ionos", also_sends="on"))
    assert not SmtpSettings.objects.exists()


def test_choosing_a_provider_fills_in_the_servers_and_says_what_it_needs(admin_client):
    post = {"preset": "gmail", "email": "jana@gmail.com", "copies_sent": "on"}
    page = admin_client.post(
        reverse("mailaccounts:preset_new"), post, headers={"HX-Request": "true"}
    ).content.decode()
    assert 'value="imap.gmail.com"' in page
    assert "App-Passwort" in page
    assert 'id="id_copies_sent" checked' not in page, "Gmail keeps its own copy"
    assert not MailAccount.objects.exists()


def test_gmail_address_gets_the_hint_without_the_preset(admin_client):
    post = {"preset": "own", "email": "jana@gmail.com"}
    page = admin_client.post(
        reverse("mailaccounts:preset_new"), post, headers={"HX-Request": "true"}
    ).content.decode()
    assert "App-Passwort" in page


def test_filling_in_works_without_javascript(admin_client):
    page = admin_client.post(
        reverse("mailaccounts:create"), _new_account(preset="strato", fill="1")
    ).content.decode()
    assert 'value="imap.strato.de"' in page
    assert CANARY not in page
    assert not MailAccount.objects.exists()


def test_account_may_only_send(admin_client):
    admin_client.post(reverse("mailaccounts:create"), _new_account(host="", password="", sent_folder=""))
    assert not hasattr(MailAccount.objects.get(), "imap")


def test_personal_account_needs_an_employee(admin_client, make_employee):
    url = reverse("mailaccounts:create")
    assert admin_client.post(url, _new_account(kind="personal")).status_code == 422
    employee = make_employee()
    assert admin_client.post(url, _new_account(kind="personal", employees=[employee.pk])).status_code == 302
    assert MailAccount.objects.get().employee_links.get().employee == employee
    account = MailAccount.objects.get()
    response = admin_client.post(_section(account, "employees"), {})
    assert "mindestens einem Mitarbeiter" in response.content.decode()


def test_employees_are_audited_by_name(admin_client, make_account, make_employee):
    account = make_account()
    first, second = make_employee(name="Aylin Öztürk"), make_employee(name="Bernd Krüger")
    admin_client.post(_section(account, "employees"), {"employees": [first.pk, second.pk]})
    admin_client.post(_section(account, "employees"), {"employees": [second.pk]})
    changes = AuditEntry.objects.filter(action="section.employees").latest("id").changes
    assert changes == {"employees": [["Aylin Öztürk", "Bernd Krüger"], ["Bernd Krüger"]]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": "https://imap.brandis.example"}, "ohne „https://“"),
        ({"host": "imap.brandis.example/mail"}, "ohne „https://“"),
        ({"host": "imap.brandis.example:993"}, "der Port hat ein eigenes Feld"),
        ({"host": "info@brandis.example"}, "Das ist eine E-Mail-Adresse"),
        ({"host": "zwei worte"}, "kein Name eines Servers"),
        ({"port": 143, "security": "tls"}, "Port 143 gehört zu STARTTLS"),
        ({"port": 993, "security": "starttls"}, "Port 993 gehört zu SSL/TLS"),
        ({"port": 0}, "port"),
        ({"host": "10.0.0.1"}, "liegt in einem Netz"),
        ({"host": "169.254.169.254"}, "liegt in einem Netz"),
        ({"host": "8.8.8.8", "port": 143, "security": "none"}, "liegt in einem Netz"),
        ({"email": "KONTO2@brandis.EXAMPLE"}, "gibt es schon"),
        ({"email": "kein-at"}, "email"),
        ({"copies_sent": "on", "sent_folder": ""}, "Den Ordner wählen"),
        ({"folders": "In\x07box"}, "kein Ordnername"),
        ({"folders": ""}, "folders"),
        ({"password": "zwei\nzeilen"}, "unsichtbares Zeichen"),
        ({"poll_seconds": 5}, "poll_seconds"),
        ({"security": "irgendwie"}, "security"),
    ],
)
def test_imap_form_says_what_is_wrong(admin_client, make_account, changes, words):
    account = make_account()
    make_account()
    response = admin_client.post(
        _section(account, "imap"), imap_post(account, **({"password": "p"} | changes))
    )
    assert response.status_code == 422
    form = response.context["form"]
    assert words in response.content.decode() or words in form.errors
    assert MailAccount.objects.get(pk=account.pk).email == account.email


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]", "192.168.1.10", "imap.localhost"]
)
def test_t12_w11_networks_that_the_environment_does_not_list(admin_client, make_account, settings, host):
    settings.MAIL_ALLOWED_NETWORKS = ["public"]
    account = make_account()
    response = admin_client.post(_section(account, "imap"), imap_post(account, host=host, password="p"))
    assert "liegt in einem Netz" in response.content.decode()


def test_unencrypted_needs_a_listed_network(admin_client, make_account, settings):
    settings.MAIL_PLAINTEXT_NETWORKS = []
    account = make_account()
    post = imap_post(account, host="127.0.0.1", port=143, security="none", password="p")
    response = admin_client.post(_section(account, "imap"), post)
    assert "Unverschlüsselte Verbindungen" in response.content.decode()


def test_port_outside_the_allowed_ones(admin_client, make_account, settings):
    settings.MAIL_ALLOWED_PORTS = [993]
    account = make_account()
    response = admin_client.post(_section(account, "imap"), imap_post(account, port=2993, password="p"))
    assert "Zu Port 2993" in response.content.decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": ""}, "Der Name des Servers fehlt"),
        ({"port": 465, "security": "starttls"}, "Port 465 gehört zu SSL/TLS"),
        ({"port": 587, "security": "tls"}, "Port 587 gehört zu STARTTLS"),
        ({"has_own_login": "on", "username": "", "password": "p"}, "Der Benutzername fehlt"),
        ({"has_own_login": "on", "username": "u"}, "Das Passwort fehlt"),
        ({"further_senders": "kein Absender"}, "weder eine Adresse"),
        ({"further_senders": "@"}, "weder eine Adresse"),
        ({"sender_address": "konto2@brandis.example"}, "gehört einem anderen Konto"),
        ({"client_alias": "böse\x00"}, "client_alias"),
    ],
)
def test_smtp_form_says_what_is_wrong(admin_client, make_account, changes, words):
    account = make_account(smtp={})
    make_account()
    post = smtp_post(account, **({"account_password": "p"} | changes))
    response = admin_client.post(_section(account, "smtp"), post)
    assert response.status_code == 422
    assert words in response.content.decode() or words in response.context["form"].errors


def test_switched_off_smtp_may_stay_incomplete(admin_client, make_account):
    account = make_account()
    assert admin_client.post(_section(account, "smtp"), smtp_post(account, host="")).status_code == 302


def test_further_senders_and_standard_account(admin_client, make_account):
    first, second = make_account(smtp={}, is_standard=True), make_account(smtp={})
    post = smtp_post(
        second,
        is_standard="on",
        further_senders="Sales@Brandis.example\n@brandis.example\n\n@brandis.example",
    )
    assert admin_client.post(_section(second, "smtp"), post).status_code == 302
    assert sorted(second.further_senders.values_list("pattern", flat=True)) == [
        "@brandis.example",
        "sales@brandis.example",
    ]
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.is_standard, second.is_standard) == (False, True)
    changes = AuditEntry.objects.get(action="section.smtp").changes
    assert changes["further_senders"] == [[], ["@brandis.example", "sales@brandis.example"]]
    assert changes["is_standard"] == [False, True]
    assert selectors.own_addresses(second) == {second.email, "sales@brandis.example"}


def test_w16_smtp_debug_switches_itself_off_after_an_hour(admin_client, make_account, time_machine):
    time_machine.move_to(datetime(2026, 11, 24, 9, 0, tzinfo=UTC), tick=False)
    account = make_account(smtp={})
    admin_client.post(_section(account, "smtp"), smtp_post(account, debug="on"))
    account.smtp.refresh_from_db()
    assert account.smtp.debug_until == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    time_machine.shift(600)
    admin_client.post(_section(account, "smtp"), smtp_post(account, debug="on"))
    account.smtp.refresh_from_db()
    assert account.smtp.debug_until == datetime(2026, 11, 24, 10, 0, tzinfo=UTC), (
        "saving again does not prolong it"
    )
    admin_client.post(_section(account, "smtp"), smtp_post(account))
    account.smtp.refresh_from_db()
    assert account.smtp.debug_until is None


def test_selectors_know_whose_address_it_is(make_account):
    by_sender = make_account(email="a@brandis.example", smtp={"sender_address": "Team@brandis.example"})
    by_email = make_account(email="Info@brandis.example")
    assert selectors.account_for_address("team@BRANDIS.example") == by_sender
    assert selectors.account_for_address("info@brandis.example") == by_email
    assert selectors.account_for_address("fremd@kunde.example") is None
    expected = {"a@brandis.example", "team@brandis.example", "info@brandis.example"}
    assert selectors.all_own_addresses() == expected
