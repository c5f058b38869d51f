"""Automatic answers end to end: decided once, queued in the import's transaction, shown on the ticket."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone

from inbound import autoresponder, discovery
from inbound.models import AutoReply
from mailkit.parsing import parse_message
from outbound.models import OutgoingMessage
from tests.inbound.conftest import State, mail
from tickets.models import Ticket, TicketEvent, TicketMessage

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def answering(make_station):
    """A station that answers automatically."""
    station = make_station("info@firma.example", sends=True)
    station.answer_automatically()
    return station


def test_a_customer_is_answered_with_all_marks_of_automatic_mail(answering):
    answering.deliver(mail("Wo bleibt die Ware?", message_id="<q1@kunde.example>"))
    answering.poll()
    outgoing = OutgoingMessage.objects.get()
    sent = parse_message(outgoing.raw.content_bytes)
    ticket = Ticket.objects.get()
    assert outgoing.envelope_sender == ""
    assert outgoing.purpose == "auto_reply"
    assert sent.subject == f"Ihre Anfrage {ticket.number}: Wo bleibt die Ware?"
    assert [to.address for to in sent.to] == ["anna@kunde.example"]
    assert sent.from_.address == "info@firma.example"
    assert sent.in_reply_to == "q1@kunde.example"
    assert sent.references == ["q1@kunde.example"]
    assert sent.headers.get("Auto-Submitted") == "auto-replied"
    assert sent.headers.get("X-Auto-Response-Suppress") == "All"
    assert sent.headers.get("X-Loop")
    assert ticket.number in sent.text
    assert ticket.number in sent.html


def test_the_answer_and_its_reason_stand_on_the_ticket(answering):
    answering.deliver(mail("Eins"), mail("Zwei"))
    answering.poll()
    first, second = Ticket.objects.order_by("id")
    kinds = list(first.messages.order_by("id").values_list("kind", flat=True))
    assert kinds == ["incoming", "auto_reply"]
    reply = first.messages.get(kind=TicketMessage.Kind.AUTO_REPLY)
    assert reply.outgoing == OutgoingMessage.objects.get()
    assert first.events.filter(code="autoreply.sent").count() == 1
    event = second.events.get(code="autoreply.suppressed")
    assert event.data == {"reason": "already-answered-today"}
    assert answering.decisions() == ["answered", "already-answered-today"]


def test_the_customers_answer_to_the_automatic_answer_joins_the_ticket(answering):
    answering.deliver(mail("Frage"))
    answering.poll()
    answer_id = OutgoingMessage.objects.get().message_id
    answering.deliver(mail("Re: ohne Nummer", headers=(("In-Reply-To", f"<{answer_id}>"),)))
    answering.poll()
    assert Ticket.objects.count() == 1


def test_off_leaves_no_trace(make_station):
    station = make_station(sends=True)
    station.deliver(mail("Eins"))
    station.poll()
    assert AutoReply.objects.count() == 0
    assert not TicketEvent.objects.filter(code__startswith="autoreply").exists()


def test_mail_older_than_a_day_or_than_the_switch_is_not_answered(answering):
    answering.deliver(mail("Alt"), at=timezone.now() - timedelta(hours=25))
    answering.poll()
    assert answering.decisions() == ["received-before-enabled"]
    answering.account.autoresponder.enabled_at = timezone.now() - timedelta(days=9)
    answering.account.autoresponder.save()
    answering.deliver(mail("Auch alt", sender="b@kunde.example"), at=timezone.now() - timedelta(hours=25))
    answering.poll()
    assert answering.decisions()[-1] == "too-old"


def test_without_transport_the_ticket_comes_and_says_why_nobody_was_answered(make_station):
    station = make_station()
    station.answer_automatically()
    station.deliver(mail("Eins"), mail("Zwei", sender="b@kunde.example"))
    assert station.poll().imported == 2
    assert station.decisions() == ["no-transport", "no-transport"]
    assert OutgoingMessage.objects.count() == 0


def test_t6_a_failed_authentication_is_not_answered_and_marked(answering, settings):
    settings.MAIL_TRUSTED_AUTHSERV_IDS = ["mx.firma.example"]
    trusted = ("Authentication-Results", "mx.firma.example; dmarc=fail")
    forged = ("Authentication-Results", "mx.boese.example; dmarc=fail")
    answering.deliver(
        mail("Gefälscht", headers=(trusted,)), mail("Behauptet", sender="b@kunde.example", headers=(forged,))
    )
    answering.poll()
    assert answering.decisions() == ["authentication-failed", "answered"]
    assert "authentication-failed" in Ticket.objects.order_by("id")[0].marks


def test_b67_an_authentication_result_below_the_trusted_one_counts_for_nothing(answering, settings):
    settings.MAIL_TRUSTED_AUTHSERV_IDS = ["mx.firma.example"]
    fields = (
        ("Authentication-Results", "mx.firma.example; dmarc=fail"),
        ("Authentication-Results", "mx.firma.example; dmarc=pass"),
    )
    answering.deliver(mail("Zwei Ergebnisse", headers=fields))
    answering.poll()
    assert answering.decisions() == ["authentication-failed"]


def test_contact_form_is_answered_to_its_reply_to(answering):
    answering.change(contact_form_senders="formular@shop.example\n")
    form = mail(
        "Anfrage",
        sender="Formular <formular@shop.example>",
        headers=(("Reply-To", "Kundin <k@kunde.example>"),),
    )
    answering.deliver(form)
    answering.poll()
    ticket = Ticket.objects.get()
    assert ticket.requester_address == "k@kunde.example"
    assert "contact-form" in ticket.marks
    assert OutgoingMessage.objects.get().recipients.get().address == "k@kunde.example"


def test_answer_comes_from_the_own_address_written_to(answering):
    answering.account.smtp.sender_address = "service@firma.example"
    answering.account.smtp.save()
    answering.deliver(mail("An Service", to="service@firma.example"))
    answering.poll()
    assert OutgoingMessage.objects.get().from_address == "service@firma.example"
    answering.change(answers_from_own_address=False)
    answering.deliver(mail("An Info", sender="b@kunde.example", to="info@firma.example"))
    answering.poll()
    assert OutgoingMessage.objects.order_by("id").last().from_address == "service@firma.example"


def test_b74_ten_thousand_recipients_get_no_answer_but_the_sender(answering):
    many = ", ".join(f"k{number}@kunde.example" for number in range(10_000))
    answering.deliver(mail("An alle").replace(b"To: info@firma.example", f"To: {many}".encode()))
    answering.poll()
    assert OutgoingMessage.objects.get().recipients.count() == 1


@pytest.mark.parametrize(
    "raw",
    [
        mail(sender=None), mail(sender="<>"), mail(sender="=?utf-8?q?a=40b?=@kunde.example"),
        mail(headers=(("Auto-Submitted", "auto-replied"),)), mail(headers=(("Return-Path", "<>"),)),
        mail(headers=(("Precedence", "list"),)), mail(headers=(("X-Auto-Response-Suppress", "All"),)),
        mail(sender="noreply@kunde.example"), mail(sender="Info+Tag@FIRMA.example"),
    ],
    ids=["b60-none", "b60-null", "b63", "b75", "b76", "b77", "b78", "b79", "b81"],
)  # fmt: skip
def test_b60_to_b81_a_ticket_comes_and_no_answer_goes(answering, raw):
    answering.deliver(raw)
    report = answering.poll()
    assert report.imported == 1
    assert OutgoingMessage.objects.count() == 0
    assert len(answering.decisions()) == 1


def test_b61_b62_b64_a_misleading_sender_gets_one_ordinary_answer_at_the_real_address(answering):
    raw = mail(sender="ceo@firma.example <x@boese.example>", headers=(("Reply-To", "andere@boese.example"),))
    answering.deliver(raw)
    answering.poll()
    assert OutgoingMessage.objects.get().recipients.get().address == "x@boese.example"


def test_b65_b66_a_foreign_reference_is_answered_without_leaking(answering):
    answering.deliver(mail("Geheim", message_id="<geheim@kunde.example>"))
    answering.poll()
    number = Ticket.objects.get().number
    answering.deliver(
        mail(
            f"Re: [#{number}]", sender="x@boese.example", headers=(("In-Reply-To", "<geheim@kunde.example>"),)
        )
    )
    answering.poll()
    assert Ticket.objects.count() == 2
    answer = parse_message(OutgoingMessage.objects.order_by("id").last().raw.content_bytes)
    assert "Geheim" not in answer.text


@pytest.mark.parametrize("day", ["2026-10-25", "2027-03-28", "2027-10-31", "2026-11-24"])
def test_r33_r38_a_responder_without_marks_is_stopped_by_the_counter(answering, day, monkeypatch):
    """Every answer provokes another mail, for three days around the change of clocks: one answer a day."""
    begin = datetime.fromisoformat(f"{day}T00:30").replace(tzinfo=BERLIN).astimezone(UTC) - timedelta(days=1)
    answering.account.autoresponder.enabled_at = begin - timedelta(days=1)
    answering.account.autoresponder.save()
    _let_mail_arrive_now(monkeypatch)
    for step in range(10):
        at = begin + timedelta(hours=7 * step)
        with time_machine.travel(at, tick=True):
            answering.deliver(mail(f"Abwesend {step}", sender="Roboter+x@kunde.example"))
            answering.poll()
    sent = list(
        AutoReply.objects.filter(is_sent=True).order_by("decided_at").values_list("decided_at", flat=True)
    )
    days = [at.astimezone(BERLIN).date() for at in sent]
    assert len(days) == len(set(days)) >= 2
    assert all(b - a >= timedelta(hours=20) for a, b in itertools.pairwise(sent))


def _let_mail_arrive_now(monkeypatch):
    """Dovecot does not travel in time: what it calls now is the test's now."""
    real = discovery._row

    def row(visit, mailbox, message):
        return real(visit, mailbox, replace(message, internal_date=timezone.now()))

    monkeypatch.setattr(discovery, "_row", row)


def test_r33_the_database_itself_refuses_a_second_answer_of_the_day(answering):
    answering.deliver(mail("Eins"), mail("Zwei", sender="b@kunde.example"))
    answering.poll()
    first, second = AutoReply.objects.order_by("id")
    with pytest.raises(Exception, match=r"(?i)unique"):
        AutoReply.objects.filter(pk=second.pk).update(sender=first.sender)


def test_t6_r22_a_storm_of_senders_is_capped_per_account(answering, monkeypatch):
    monkeypatch.setattr(autoresponder, "HOURLY_LIMIT", 3)
    answering.deliver(*[mail(sender=f"k{number}@kunde.example") for number in range(5)])
    answering.poll()
    assert answering.decisions() == ["answered"] * 3 + ["account-limit"] * 2
    answering.deliver(mail(sender="k9@kunde.example"))
    answering.poll()
    assert answering.decisions()[-1] == "account-limit"


def test_once_a_day_off_answers_five_times(answering):
    answering.account.autoresponder.once_a_day = False
    answering.account.autoresponder.save()
    answering.deliver(*[mail(f"Nummer {number}") for number in range(7)])
    answering.poll()
    assert answering.decisions() == ["answered"] * 5 + ["sender-limit"] * 2


def test_r28_the_bounce_of_an_automatic_answer_joins_its_ticket_and_is_not_answered(answering):
    answering.deliver(mail("Frage"))
    answering.poll()
    outgoing = OutgoingMessage.objects.get()
    answering.deliver(bounce_of(outgoing.message_id))
    report = answering.poll()
    assert (report.bounce, report.imported) == (1, 0)
    row = answering.rows().order_by("id").last()
    assert (row.state, row.bounce_of) == (State.BOUNCE, outgoing)
    outgoing.refresh_from_db()
    assert outgoing.bounced_at
    assert Ticket.objects.count() == 1
    assert OutgoingMessage.objects.count() == 1


def test_r28_an_unmatched_bounce_becomes_a_marked_ticket(answering):
    answering.deliver(bounce_of("unbekannt@firma.example"))
    assert answering.poll().imported == 1
    assert "bounce" in Ticket.objects.get().marks
    assert OutgoingMessage.objects.count() == 0


def bounce_of(message_id: str) -> bytes:
    """A delivery report of RFC 3464."""
    lines = [
        "Return-Path: <>", "From: MAILER-DAEMON@mx.kunde.example", "To: info@firma.example",
        "Subject: Undelivered Mail Returned to Sender", "Message-ID: <b@mx.kunde.example>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "",
        "--b", "Content-Type: text/plain", "", "Not delivered.", "",
        "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.kunde.example", "",
        "Final-Recipient: rfc822; anna@kunde.example", "Action: failed", "Status: 5.1.1", "",
        "--b", "Content-Type: text/rfc822-headers", "", f"Message-ID: <{message_id}>",
        "Subject: x", "", "--b--", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()
