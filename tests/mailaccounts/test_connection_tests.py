"""Tests of settings against real servers: steps, distinct diagnoses, nothing changed, no secret shown."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs import instance
from mailaccounts import connection_tests, probing
from mailaccounts.connections import AccountNotReady
from mailaccounts.models import ConnectionTest, ImapSettings, MailAccount
from mailaccounts.steps import shown_steps
from mailaccounts.tasks import forget_old_tests, run_connection_test
from tests.mailaccounts.conftest import CANARY, imap_post
from tests.server_basics import free_port
from tests.servers import Dovecot
from tests.stubs.scripted import ScriptedServer

pytestmark = pytest.mark.servers
HTMX = {"HX-Request": "true"}


def _outcomes(test: ConnectionTest) -> dict[str, str]:
    test.refresh_from_db()
    return {row["step"]: row["code"] or row["outcome"] for row in test.steps}


@pytest.fixture
def local_account(make_account, dovecot, mailbox):
    """An account on the test's Dovecot over verified TLS; ``localhost`` is in the certificate."""

    def make(**imap) -> MailAccount:
        values = {
            "host": "localhost",
            "port": dovecot.tls_port,
            "security": "tls",
            "username": mailbox.username,
        }
        return make_account(imap=values | imap, email=mailbox.username, password=mailbox.password)

    return make


@pytest.fixture
def run_imap_test(admin_client):
    """Press *Verbindung testen* (or *Ordner laden*) and let the worker run it."""

    def run(account: MailAccount, name: str = "test_imap", **changes) -> ConnectionTest:
        url = reverse(f"mailaccounts:{name}", args=[account.pk])
        response = admin_client.post(url, imap_post(account, **changes), headers=HTMX)
        assert response.status_code == 200
        test = ConnectionTest.objects.latest("pk")
        run_connection_test(str(test.uuid))
        test.refresh_from_db()
        return test

    return run


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_all_steps_of_a_good_account(trusted, local_account, run_imap_test, dovecot, security):
    port = dovecot.tls_port if security == "tls" else dovecot.port
    test = run_imap_test(local_account(port=port, security=security))
    expected = dict.fromkeys(("resolve", "connect", "tls", "login", "folders", "counts"), "ok")
    assert _outcomes(test) == expected | {"tls": "off" if security == "none" else "ok"}
    assert test.finished_at
    assert all(row["milliseconds"] >= 0 for row in test.steps)
    shown = {step.label: step.sentence for step in shown_steps(test)}
    assert any(sentence.startswith("INBOX: 0") for sentence in shown.values())


def test_a_test_changes_nothing_on_the_server(trusted, local_account, run_imap_test, dovecot, mailbox):
    dovecot.deliver(mailbox, b"Subject: ungelesen\r\n\r\nText\r\n", b"Subject: gelesen\r\n\r\nText\r\n")
    before = dovecot.flags(mailbox)
    run_imap_test(local_account())
    assert dovecot.flags(mailbox) == before


def test_steps_stream_into_the_page(trusted, local_account, admin_client):
    account = local_account()
    response = admin_client.post(
        reverse("mailaccounts:test_imap", args=[account.pk]), imap_post(account), headers=HTMX
    )
    assert 'hx-trigger="every 500ms"' in response.content.decode()
    test = ConnectionTest.objects.get()
    run_connection_test(str(test.uuid))
    panel = admin_client.get(reverse("mailaccounts:test", args=[test.uuid]), headers=HTMX).content.decode()
    assert "hx-trigger" not in panel, "polling stops with the test"
    assert "Zertifikat gültig bis" in panel


def test_without_javascript_the_test_has_a_page(trusted, local_account, admin_client):
    account = local_account()
    response = admin_client.post(reverse("mailaccounts:test_imap", args=[account.pk]), imap_post(account))
    assert response.status_code == 302
    assert admin_client.get(response.url).status_code == 200


def test_new_account_is_tested_before_it_is_saved(trusted, dovecot, mailbox, admin_client):
    post = {"host": "localhost", "port": dovecot.tls_port, "security": "tls", "email": mailbox.username}
    admin_client.post(reverse("mailaccounts:test_new"), post | {"password": mailbox.password}, headers=HTMX)
    test = ConnectionTest.objects.get()
    run_connection_test(str(test.uuid))
    assert _outcomes(test)["counts"] == "ok"
    assert not MailAccount.objects.exists()


def test_folders_are_listed_and_the_sent_folder_proposed(trusted, local_account, run_imap_test, admin_client):
    test = run_imap_test(local_account(), name="folders")
    assert {"name": "Sent", "special_use": "sent"} in test.folders
    url = reverse("mailaccounts:test", args=[test.uuid])
    panel = admin_client.get(url, headers=HTMX).content.decode()
    assert 'value="Sent"' in panel
    assert 'hx-swap-oob="true"' in panel
    kept = admin_client.get(url, {"sent_folder": "Gesendet"}, headers=HTMX).content.decode()
    assert 'id="id_sent_folder"' not in kept, "what was chosen already is not replaced"


def test_ticked_folders_are_added_when_saving(admin_client, make_account):
    account = make_account()
    url = reverse("mailaccounts:section", args=[account.pk, "imap"])
    admin_client.post(url, imap_post(account, folder_choices=["INBOX/Lieferanten", "INBOX"]))
    account.imap.refresh_from_db()
    assert account.imap.folders == ["INBOX", "INBOX/Lieferanten"]


def test_wrong_password_fails_at_the_login_with_cause_and_remedy(
    trusted, local_account, run_imap_test, admin_client
):
    test = run_imap_test(local_account(), password="falsch-4711")
    assert _outcomes(test) == {
        "resolve": "ok",
        "connect": "ok",
        "tls": "ok",
        "login": "authentication_failed",
    }
    panel = admin_client.get(reverse("mailaccounts:test", args=[test.uuid]), headers=HTMX).content.decode()
    assert "Anmeldung abgelehnt" in panel
    assert "nicht erreicht" in panel
    assert "falsch-4711" not in panel


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda authority: authority.issue(days=-5, label="expired-ui"), "certificate_expired"),
        (lambda authority: authority.self_signed(), "certificate_self_signed"),
        (
            lambda authority: authority.issue("mail.elsewhere.example", label="other-ui"),
            "certificate_hostname",
        ),
    ],
)
def test_r29_t10_bad_certificates_get_distinct_diagnoses_and_no_login(
    trusted, local_account, run_imap_test, admin_client, make, code
):
    with Dovecot(make(trusted)) as server:
        test = run_imap_test(local_account(port=server.tls_port))
        assert _outcomes(test) == {"resolve": "ok", "connect": "ok", "tls": code}
        assert "Login" not in server.log()
        assert "auth failed" not in server.log()
    panel = admin_client.get(reverse("mailaccounts:test", args=[test.uuid]), headers=HTMX).content.decode()
    assert "Es wurde kein Passwort gesendet." in panel


def test_t10_unknown_authority_is_its_own_diagnosis(local_account, run_imap_test):
    assert _outcomes(run_imap_test(local_account()))["tls"].startswith("certificate_")


def test_t11_server_without_starttls_gets_no_password(local_account, run_imap_test):
    def script(dialogue):
        dialogue.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n")
        while True:
            tag = dialogue.readline().split()[0]
            dialogue.send(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" + tag + b" OK done\r\n")

    with ScriptedServer(script) as server:
        test = run_imap_test(local_account(host="127.0.0.1", port=server.port, security="starttls"))
        assert _outcomes(test)["tls"] == "starttls_missing"
        assert not any(b"AUTHENTICATE" in d.received or b"LOGIN" in d.received for d in server.dialogues)


def test_w11_closed_and_open_ports_of_a_forbidden_network_look_alike(settings, mail_administrator, dovecot):
    settings.MAIL_ALLOWED_NETWORKS = ["public"]
    seen = []
    for port in (dovecot.tls_port, free_port()):
        test = connection_tests.start_imap_test(
            task=run_connection_test,
            kind=ConnectionTest.Kind.IMAP,
            account=None,
            settings=ImapSettings(host="127.0.0.1", port=port, security="tls", username="u", folders=[]),
            password="p",
            by=mail_administrator,
        )
        run_connection_test(str(test.uuid))
        test.refresh_from_db()
        seen.append([{name: row[name] for name in row if name != "milliseconds"} for row in test.steps])
    assert seen[0] == seen[1]
    assert [(row["step"], row["code"]) for row in seen[0]] == [("resolve", "host_not_allowed")]


def test_w11_form_refuses_a_forbidden_network_before_anything_is_dialled(
    settings, admin_client, make_account
):
    settings.MAIL_ALLOWED_NETWORKS = ["public"]
    account = make_account()
    post = imap_post(account, host="169.254.169.254", password="x")
    response = admin_client.post(reverse("mailaccounts:test_imap", args=[account.pk]), post, headers=HTMX)
    assert "liegt in einem Netz" in response.content.decode()
    assert not ConnectionTest.objects.exists()


def test_w10_five_tests_a_minute_and_user(admin_client, make_account):
    account = make_account()
    url = reverse("mailaccounts:test_imap", args=[account.pk])
    answers = [admin_client.post(url, imap_post(account), headers=HTMX).content.decode() for _ in range(6)]
    assert ["Fünf Tests" in answer for answer in answers] == [False] * 5 + [True]
    assert ConnectionTest.objects.count() == 5
    ConnectionTest.objects.update(started_at=timezone.now() - timedelta(minutes=2))
    assert "Fünf Tests" not in admin_client.post(url, imap_post(account), headers=HTMX).content.decode()


def test_parameters_are_encrypted_and_gone_after_the_run(trusted, local_account, admin_client, mailbox):
    account = local_account()
    url = reverse("mailaccounts:test_imap", args=[account.pk])
    admin_client.post(url, imap_post(account, password=mailbox.password), headers=HTMX)
    test = ConnectionTest.objects.get()
    assert test.parameters_encrypted
    assert mailbox.password not in test.parameters_encrypted
    run_connection_test(str(test.uuid))
    test.refresh_from_db()
    assert test.parameters_encrypted == ""


def test_r7_a_redelivered_task_does_nothing(trusted, local_account, run_imap_test):
    test = run_imap_test(local_account())
    steps = test.steps
    run_connection_test(str(test.uuid))
    test.refresh_from_db()
    assert test.steps == steps


def test_w1_a_test_is_shown_to_who_started_it(trusted, local_account, run_imap_test, client, make_user):
    test = run_imap_test(local_account())
    client.force_login(make_user("mail_administrator"))
    assert client.get(reverse("mailaccounts:test", args=[test.uuid])).status_code == 404


def test_a_test_that_no_worker_takes_is_told_as_such(admin_client, make_account):
    account = make_account()
    admin_client.post(reverse("mailaccounts:test_imap", args=[account.pk]), imap_post(account), headers=HTMX)
    test = ConnectionTest.objects.get()
    ConnectionTest.objects.update(started_at=timezone.now() - connection_tests.STALLED_AFTER * 2)
    panel = admin_client.get(reverse("mailaccounts:test", args=[test.uuid]), headers=HTMX).content.decode()
    assert "Keine Antwort vom Hintergrunddienst" in panel
    assert "hx-trigger" not in panel


# -- test mail ------------------------------------------------------------------------------------------


class _IntoMailbox(list):
    """The sink's transactions, each also put into a mailbox, as the provider's server would."""

    def __init__(self, dovecot, mailbox, folder="INBOX") -> None:
        super().__init__()
        self._deliver = lambda raw: dovecot.deliver(mailbox, raw, folder=folder)

    def append(self, transaction) -> None:
        super().append(transaction)
        self._deliver(transaction.content)


@pytest.fixture
def sending_account(make_account, dovecot, mailbox, smtp_sink_tls):
    """An account on Dovecot and on the SMTP server of the test, with a login of its own there."""

    def make(**smtp) -> MailAccount:
        imap = {
            "host": "localhost",
            "port": dovecot.tls_port,
            "security": "tls",
            "username": mailbox.username,
        }
        values = {"host": "localhost", "port": smtp_sink_tls.port, "security": "starttls"}
        return make_account(imap=imap, email=mailbox.username, password=mailbox.password, smtp=values | smtp)

    return make


@pytest.fixture
def run_mail_test(admin_client, original):
    """Press *Testmail senden* and let the worker run it."""

    def run(account: MailAccount) -> ConnectionTest:
        admin_client.post(reverse("mailaccounts:test_mail", args=[account.pk]), headers=HTMX)
        test = ConnectionTest.objects.latest("pk")
        run_connection_test(str(test.uuid))
        test.refresh_from_db()
        return test

    return run


def test_test_mail_is_sent_and_its_arrival_seen(
    trusted, sending_account, run_mail_test, smtp_sink_tls, dovecot, mailbox
):
    smtp_sink_tls._users[mailbox.username] = mailbox.password
    smtp_sink_tls.transactions = _IntoMailbox(dovecot, mailbox)
    test = run_mail_test(sending_account(sender_name="Brandis – Buchhaltung"))
    steps = ("resolve", "connect", "tls", "login", "accepted", "arrived")
    assert _outcomes(test) == dict.fromkeys(steps, "ok")
    (mail,) = smtp_sink_tls.transactions
    message = message_from_bytes(mail.content)
    assert message["Message-ID"].strip("<>") == test.message_id, "inbound recognises it by this"
    assert message["Auto-Submitted"] == "auto-generated"


def test_test_mail_in_the_spam_folder_is_found_there(
    trusted, sending_account, run_mail_test, smtp_sink_tls, dovecot, mailbox
):
    smtp_sink_tls._users[mailbox.username] = mailbox.password
    with dovecot.rival(mailbox) as client:
        client.create("Junk")
    smtp_sink_tls.transactions = _IntoMailbox(dovecot, mailbox, "Junk")
    test = run_mail_test(sending_account())
    arrived = next(row for row in test.steps if row["step"] == "arrived")
    assert arrived["facts"]["folder"] == "Junk"


def test_test_mail_that_does_not_arrive_is_not_called_arrived(
    trusted, sending_account, run_mail_test, smtp_sink_tls, mailbox, monkeypatch
):
    smtp_sink_tls._users[mailbox.username] = mailbox.password
    monkeypatch.setattr(probing, "ARRIVAL_WAIT", timedelta(0))
    outcomes = _outcomes(run_mail_test(sending_account()))
    assert outcomes["accepted"] == "ok"
    assert outcomes["arrived"] == "test_mail_not_arrived"


def test_refused_smtp_login_is_told_at_its_step(trusted, sending_account, run_mail_test):
    outcomes = _outcomes(run_mail_test(sending_account()))
    assert outcomes == {"resolve": "ok", "connect": "ok", "tls": "ok", "login": "authentication_failed"}


def test_account_that_only_sends_skips_the_arrival(make_account, run_mail_test, smtp_sink):
    smtp = {"host": "127.0.0.1", "port": smtp_sink.port, "security": "none", "authentication": "none"}
    test = run_mail_test(make_account(imap=None, smtp=smtp))
    expected = {
        "resolve": "ok",
        "connect": "ok",
        "tls": "off",
        "login": "off",
        "accepted": "ok",
        "arrived": "off",
    }
    assert _outcomes(test) == expected


def test_local_mail_program_sends_without_a_server(make_account, run_mail_test, settings, tmp_path):
    taken = tmp_path / "mail"
    program = tmp_path / "sendmail"
    program.write_text(f'#!/bin/sh\ncat > "{taken}"\n')
    program.chmod(0o755)
    settings.SENDMAIL_PATH = str(program)
    test = run_mail_test(make_account(imap=None, smtp={"transport": "local", "host": ""}))
    assert _outcomes(test)["accepted"] == "ok"
    assert b"Auto-Submitted: auto-generated" in taken.read_bytes()


def test_a_copy_of_the_database_sends_no_test_mail(make_account, run_mail_test, smtp_sink, settings):
    settings.INSTANCE_NAME = "restored-copy"
    assert not instance.is_original()
    smtp = {"host": "127.0.0.1", "port": smtp_sink.port, "security": "none", "authentication": "none"}
    test = run_mail_test(make_account(imap=None, smtp=smtp))
    assert "unconfirmed_copy" in _outcomes(test).values()
    assert smtp_sink.connections == 0


def test_test_mail_needs_smtp_switched_on(admin_client, make_account):
    account = make_account(smtp={"is_enabled": False})
    response = admin_client.post(reverse("mailaccounts:test_mail", args=[account.pk]), headers=HTMX)
    assert "SMTP aktivieren" in response.content.decode()
    assert not ConnectionTest.objects.exists()


def test_old_tests_are_forgotten_but_test_mails_stay_recognisable(make_account, mail_administrator):
    account = make_account()
    plain, mail = (
        ConnectionTest.objects.create(kind="imap", account=account, started_by=mail_administrator)
        for _ in range(2)
    )
    ConnectionTest.objects.update(started_at=timezone.now() - timedelta(hours=2))
    ConnectionTest.objects.filter(pk=mail.pk).update(message_id="x@brandis.example")
    forget_old_tests()
    assert list(ConnectionTest.objects.all()) == [mail]
    assert plain != mail


def test_an_unexpected_fault_ends_the_test_instead_of_leaving_the_page_waiting(
    make_account, admin_client, monkeypatch
):
    account = make_account()
    admin_client.post(reverse("mailaccounts:test_imap", args=[account.pk]), imap_post(account), headers=HTMX)
    monkeypatch.setattr(connection_tests, "access_of", lambda *_args: 1 / 0)
    test = ConnectionTest.objects.get()
    with pytest.raises(ZeroDivisionError):
        run_connection_test(str(test.uuid))
    assert _outcomes(test) == {"resolve": "internal_error"}
    assert test.finished_at
    assert CANARY not in str(test.steps)


def test_t7_a_password_entered_for_another_server_meanwhile_is_not_used(make_account, mail_administrator):
    account = make_account()
    test = connection_tests.start_imap_test(
        task=run_connection_test,
        kind=ConnectionTest.Kind.IMAP,
        account=account,
        settings=account.imap,
        password="",
        by=mail_administrator,
    )
    account.imap.__class__.objects.update(host="imap.neu.example")
    claimed = connection_tests.claim(str(test.uuid))
    assert claimed is not None
    with pytest.raises(AccountNotReady) as refusal:
        connection_tests.access_of(*claimed)
    assert refusal.value.code == "password_missing"
