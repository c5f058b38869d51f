"""Who must not be answered automatically (RFC 3834), and who answered automatically."""

from __future__ import annotations

import pytest

from mailkit.autosubmitted import autoreply_suppression_reason, is_auto_reply, is_looping, is_system_address
from tests.mailkit.corpus import message, parsed_mail


def test_a_customers_mail_may_be_answered():
    parsed = message("Auto-Submitted: no", "X-Auto-Response-Suppress: None", "Precedence: first-class")
    assert autoreply_suppression_reason(parsed) is None
    assert not is_auto_reply(parsed)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("b75-auto-submitted", "auto-submitted"),
        ("b76-null-return-path", "null-return-path"),
        ("b77-precedence-bulk", "precedence"),
        ("b77-list", "mailing-list"),
        ("b78-suppress", "auto-response-suppress"),
        ("b79-noreply", "system-sender"),
        ("b80-dsn", "report"),
        ("b80-mdn", "report"),
        ("b80-arf", "report"),
        ("b82-out-of-office-bare", "auto-reply"),
        ("b83-31-hops", "loop"),
        ("b83-x-loop", "loop"),
    ],
)
def test_b75_b76_b77_b78_b79_b80_b82_b83_reasons(name, reason):
    assert autoreply_suppression_reason(parsed_mail(name)) == reason


@pytest.mark.parametrize(
    "value", ["auto-replied", "AUTO-GENERATED", "auto-notified; owner=x", "irgendwas", "auto-replied (x)"]
)
def test_b75_every_value_but_no(value):
    assert autoreply_suppression_reason(message(f"Auto-Submitted: {value}")) == "auto-submitted"


@pytest.mark.parametrize("value", ["no", "No", " no ; comment", "no (handgeschrieben)"])
def test_b75_no_means_no(value):
    assert autoreply_suppression_reason(message(f"Auto-Submitted: {value}")) is None


@pytest.mark.parametrize(
    "line",
    [
        "List-Id: <a.b>",
        "List-Unsubscribe: <mailto:x@y.example>",
        "List-Post: NO",
        "List-Help: <http://x>",
        "Mailing-List: x",
        "X-Mailman-Version: 2",
    ],
)
def test_b77_list_fields(line):
    assert autoreply_suppression_reason(message(line)) == "mailing-list"


@pytest.mark.parametrize("value", ["bulk", "List", "junk", "auto_reply"])
def test_b77_precedence(value):
    assert autoreply_suppression_reason(message(f"Precedence: {value}")) == "precedence"


@pytest.mark.parametrize("value", ["All", "OOF", "AutoReply", "DR, RN, NRN, OOF, AutoReply", "DR"])
def test_b78_suppress_values(value):
    parsed = message(f"X-Auto-Response-Suppress: {value}")
    assert autoreply_suppression_reason(parsed) == "auto-response-suppress"


@pytest.mark.parametrize(
    "local",
    [
        "MAILER-DAEMON",
        "postmaster",
        "noreply",
        "no-reply",
        "no_reply",
        "no.reply",
        "shop-noreply",
        "noreply+abc",
        "do-not-reply",
        "donotreply",
        "werkzeug-request",
        "owner-werkzeug",
        "werkzeug-owner",
        "bounce",
        "bounces+1=2",
        "bounce-77",
        "werkzeug-bounces",
        "listserv",
        "nicht-antworten",
    ],
)
def test_b79_system_senders(local):
    assert is_system_address(f"{local}@shop.example")
    assert autoreply_suppression_reason(message(f"From: {local}@shop.example")) == "system-sender"


@pytest.mark.parametrize(
    "local", ["anna", "reply", "arno.reply", "request", "info", "support", "owner", "bouncer", "rootner"]
)
def test_b79_people_are_not_system_senders(local):
    assert not is_system_address(f"{local}@shop.example")


def test_b79_the_envelope_of_a_list_counts_too():
    parsed = message("Return-Path: <werkzeug-bounces@listen.example>")
    assert autoreply_suppression_reason(parsed) == "system-sender"


@pytest.mark.parametrize(
    "root", ["message/delivery-status", "message/disposition-notification", "message/feedback-report"]
)
def test_b80_reports_without_a_multipart(root):
    assert autoreply_suppression_reason(message(f"Content-Type: {root}")) == "report"


@pytest.mark.parametrize(
    "subject",
    [
        "Abwesenheitsnotiz: Angebot",
        "Automatische Antwort: Rechnung",
        "Automatic reply: Offer",
        "Out of Office: Offer",
        "Out of office",
        "Out of the Office Reply: x",
        "Abwesenheitsnachricht",
        "Auto-Reply: x",
        "AutoReply",
        "Autoreply: x",
        "Ich bin derzeit nicht im Büro",
        "Nicht im Haus bis Montag",
        "Automatische Eingangsbestätigung",
        "Réponse automatique : x",
        "[EXTERN] Automatische Antwort: x",
        "Urlaubsabwesenheit",
        "=?utf-8?q?Abwesend=3A_x?=",
    ],
)
def test_b82_subjects_of_responders_without_fields(subject):
    parsed = message(f"Subject: {subject}")
    assert is_auto_reply(parsed)
    assert autoreply_suppression_reason(parsed) == "auto-reply"


@pytest.mark.parametrize(
    "subject",
    [
        "AW: Abwesenheitsnotiz: Angebot",
        "Re: Out of Office: x",
        "Out of office supplies",
        "Antwort auf Angebot",
        "Automatik defekt",
        "Abwesenheit von Herrn Weiß",
        "Vacation rental",
        "Nicht im Haushalt geliefert",
        "Autoradio",
        "",
    ],
)
def test_b82_subjects_of_people(subject):
    assert not is_auto_reply(message(f"Subject: {subject}"))


@pytest.mark.parametrize(
    "line",
    [
        "X-Autoreply: yes",
        "X-Autorespond: 1",
        "X-Auto-Reply-From: a@b.example",
        "Auto-Submitted: auto-replied",
        "Precedence: auto_reply",
    ],
)
def test_fields_of_responders(line):
    assert is_auto_reply(message(line))


def test_generated_mail_and_reports_are_no_auto_replies():
    assert not is_auto_reply(message("Auto-Submitted: auto-generated"))
    assert not is_auto_reply(parsed_mail("b80-dsn"))


def test_b83_looping_mail():
    assert is_looping(parsed_mail("b83-31-hops"), "erp-mail")
    assert is_looping(parsed_mail("b83-x-loop"), "erp-mail")
    assert not is_looping(parsed_mail("b83-x-loop"), "another-installation")
    assert not is_looping(message(*[f"Received: {n}" for n in range(30)]), "erp-mail")
    foreign = message("X-Loop: andere@liste.example")
    assert not is_looping(foreign, "erp-mail")
    assert autoreply_suppression_reason(foreign) == "loop"
