"""The whole way with real servers: a wrong password on Dovecot, the mail that tells it, and the all-clear."""

from __future__ import annotations

import pytest
import time_machine
from django.utils import timezone

from cockpit.models import Alert
from cockpit.tasks import send_alerts
from inbound import polling
from inbound.models import IncomingMessage
from inbound.reasons import Reason
from mailaccounts import credentials, health
from mailaccounts.models import AccountHealth, ImapSettings, MailAccount
from mailkit.parsing import ParsedMessage, parse_message
from outbound.delivery import deliver
from outbound.models import OutgoingMessage
from tests.cockpit.conftest import make_account, minutes
from tests.servers import Dovecot, MailUser, SmtpSink
from tickets.models import Queue, Ticket, TicketOptions

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("firm")]


@pytest.fixture
def carrier(smtp_sink: SmtpSink) -> MailAccount:
    """The standard account, whose server is the sink."""
    return make_account("zentrale@firma.example", port=smtp_sink.port, is_standard=True)


@pytest.fixture
def info(carrier, dovecot: Dovecot, mailbox: MailUser) -> MailAccount:
    """An account on Dovecot that makes tickets of its mail and answers it."""
    account = make_account("info@firma.example")
    ImapSettings.objects.filter(account=account).update(
        host="localhost", port=dovecot.port, security="none", username=mailbox.username, folders=["INBOX"]
    )
    queue = Queue.objects.create(name="Support")
    TicketOptions.objects.create(account=account, is_enabled=True, default_queue=queue)
    account.imap.refresh_from_db()
    set_password(account, mailbox.password)
    return account


def set_password(account: MailAccount, password: str) -> None:
    """As saving the settings does: store it and try again."""
    sealed = credentials.encrypt(password, purpose=credentials.IMAP_PASSWORD, row_uuid=account.imap.uuid)
    ImapSettings.objects.filter(account=account).update(password_encrypted=sealed)
    health.resume(account)


def poll(account: MailAccount, times: int = 1) -> str:
    for _ in range(times):
        error = polling.poll(account.pk, slice_seconds=None).error
    return error


def received(smtp_sink: SmtpSink) -> list[ParsedMessage]:
    return [parse_message(transaction.content) for transaction in smtp_sink.transactions]


def test_r32_a_wrong_password_is_told_through_another_account_and_so_is_the_all_clear(
    info, carrier, mailbox, smtp_sink, mail_administrator
):
    assert poll(info) == ""
    set_password(info, "falsch")
    assert poll(info, 3) == "authentication_failed"
    send_alerts()
    send_alerts()
    assert deliver(carrier.pk).sent == 1
    (alarm,) = received(smtp_sink)
    assert [to.address for to in alarm.to] == [mail_administrator.email]
    assert alarm.from_.address == carrier.email
    assert alarm.subject == "[Brandis] 1 Postfach braucht Hilfe: info@firma.example"
    assert "Passwort" in alarm.text

    set_password(info, mailbox.password)
    send_alerts()
    assert poll(info) == ""
    send_alerts()
    Alert.objects.update(clear_since=timezone.now() - minutes(2))
    send_alerts()
    assert deliver(carrier.pk).sent == 1
    assert received(smtp_sink)[1].subject == "[Brandis] Entwarnung: info@firma.example"
    assert not Alert.objects.open().exists()


def test_r37_an_alert_that_arrives_in_a_polled_mailbox_makes_no_ticket_no_answer_and_no_alert(
    info, carrier, dovecot, mailbox, smtp_sink, settings
):
    settings.ALERT_RECIPIENTS = [info.email]
    AccountHealth.objects.filter(account=info).update(
        failing_since=timezone.now(), is_paused=True, error_code="authentication_failed"
    )
    send_alerts()
    deliver(carrier.pk)
    way = b"Received: from mx.firma.example by mail.firma.example; Tue, 24 Nov 2026 09:00:00 +0100\r\n"
    dovecot.deliver(mailbox, way + smtp_sink.transactions[0].content)
    assert poll(info) == ""
    row = IncomingMessage.objects.get()
    assert (row.state, row.reason) == (IncomingMessage.State.EXCLUDED, Reason.SYSTEM_MAIL)
    assert not Ticket.objects.exists()
    with time_machine.travel(timezone.now() + minutes(2), tick=False):
        send_alerts()
    with time_machine.travel(timezone.now() + minutes(90), tick=False):
        send_alerts()
    assert not Alert.objects.open().exclude(kind=Alert.Kind.LATE).exists()
    assert OutgoingMessage.objects.filter(purpose="auto_reply").count() == 0


def test_r28_an_alert_mail_that_comes_back_is_known_as_such_and_makes_no_ticket(
    info, carrier, dovecot, mailbox, smtp_sink, settings
):
    settings.ALERT_RECIPIENTS = ["weg@firma.example"]
    AccountHealth.objects.filter(account=info).update(
        failing_since=timezone.now(), is_paused=True, error_code="authentication_failed"
    )
    send_alerts()
    deliver(carrier.pk)
    sent = OutgoingMessage.objects.get()
    dovecot.deliver(mailbox, bounce_of(sent))
    assert poll(info) == ""
    sent.refresh_from_db()
    assert sent.bounced_at is not None
    assert IncomingMessage.objects.get().state == IncomingMessage.State.BOUNCE
    assert not Ticket.objects.exists()


def bounce_of(message: OutgoingMessage) -> bytes:
    """A delivery status notification (RFC 3464) about the mail."""
    return (
        "From: MAILER-DAEMON@mx.example\r\nTo: zentrale@firma.example\r\nSubject: Undelivered\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nunknown\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        "Final-Recipient: rfc822; weg@firma.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{message.message_id}>\r\n\r\n--b--\r\n"
    ).encode()
