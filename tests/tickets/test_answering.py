"""Answers and tickets begun by us: who may, what is sent, what the ticket keeps (T4, T22, W15, B64)."""

from __future__ import annotations

import uuid

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection

from audit.models import AuditEntry
from mailaccounts.models import MailAccount, MailAccountEmployee
from mailkit.addresses import Address as Mailbox
from mailkit.building import Attachment as AttachedFile
from mailkit.errors import InvalidAddress
from mailkit.parsing import parse_message
from masterdata import roles
from masterdata.models import Address, Company, Employee, Project
from outbound.errors import NoTransport
from outbound.models import OutgoingMessage
from tests.tickets.mails import CUSTOMER, eml
from tickets import attachments
from tickets.models import Queue, Ticket, TicketMessage
from tickets.selectors import (
    answer_recipients,
    answer_sender,
    may_answer_from,
    read_ticket,
    senders_for_answer,
)
from tickets.services import add_note, create_ticket, record_event, reply
from tickets.tokens import ticket_of
from tickets.vocabulary import Event, Mark

State = Ticket.State
CARSTEN = Mailbox("Carsten Meinhold", CUSTOMER)


@pytest.fixture
def answer(queue_agent, account):
    """Answer a ticket: ``answer(ticket, text="…")``."""

    def send(ticket: Ticket, **fields) -> TicketMessage:
        return reply(
            **{
                "ticket": ticket,
                "by": queue_agent,
                "from_address": account.email,
                "to": [CARSTEN],
                "text": "Gern.",
            }
            | fields
        )

    return send


def sent(message: TicketMessage):
    return parse_message(message.outgoing.raw.content_bytes)


class TestReply:
    def test_continues_the_thread_of_the_last_incoming_mail(self, import_mail, answer):
        first = import_mail(eml(message_id="m1@x.example", references="<m0@x.example>"))
        answer(first.ticket)
        import_mail(
            eml(
                message_id="m2@x.example",
                in_reply_to="<m1@x.example>",
                references="<m0@x.example> <m1@x.example>",
            )
        )
        mail = sent(answer(first.ticket))
        assert mail.in_reply_to == "m2@x.example"
        assert mail.references == ["m0@x.example", "m1@x.example", "m2@x.example"]

    def test_says_the_number_once_and_carries_a_token(self, import_mail, answer):
        ticket = import_mail(eml(subject="AW: Re: WG: Angebot 7 [#20250101-00001]")).ticket
        message = answer(ticket)
        mail = sent(message)
        assert mail.subject == f"Re: Angebot 7 [#{ticket.number}]"
        assert ticket_of(mail.message_id) == ticket.number
        assert message.message_id == mail.message_id

    def test_stands_on_the_ticket_which_waits_for_the_customer(self, ticket, answer, queue_agent):
        message = answer(ticket, cc=[Mailbox("", "leitstand@swl.example")])
        ticket.refresh_from_db()
        assert (ticket.state, ticket.closed_at, ticket.last_message_at) == (
            State.WAITING_CUSTOMER,
            None,
            message.at,
        )
        assert (message.kind, message.author, message.text) == ("outgoing", queue_agent, "Gern.")
        assert message.outgoing.state == OutgoingMessage.State.QUEUED
        assert ticket.participants.filter(address="leitstand@swl.example").exists()
        assert [event.code for event in ticket.events.order_by("pk")][1:] == [
            Event.ANSWERED,
            Event.STATE_CHANGED,
        ]

    def test_closes_when_the_agent_says_so(self, ticket, answer):
        answer(ticket, closes=True)
        ticket.refresh_from_db()
        assert (ticket.state, ticket.stays_closed) == (State.CLOSED, False)
        assert ticket.closed_at is not None

    def test_the_customers_answer_to_it_joins_and_reopens(self, ticket, answer, import_mail):
        message = answer(ticket, closes=True)
        back = import_mail(eml(subject="AW: etwas", in_reply_to=f"<{message.message_id}>"))
        ticket.refresh_from_db()
        assert (back.ticket, back.marks, ticket.state) == (ticket, [], State.OPEN)

    def test_t22_bcc_is_in_the_envelope_only_and_takes_part(self, ticket, answer):
        message = answer(ticket, bcc=[Mailbox("", "chef@brandis-holding.example")])
        assert b"chef@" not in message.outgoing.raw.content_bytes
        assert message.outgoing.recipients.filter(address="chef@brandis-holding.example", kind="bcc").exists()
        assert ticket.participants.filter(address="chef@brandis-holding.example").exists()

    def test_a_colleague_in_copy_does_not_take_part(self, ticket, answer, account):
        answer(ticket, cc=[Mailbox("", account.email)])
        assert not ticket.participants.filter(address=account.email).exists()

    def test_attachments_are_found_again_in_the_sent_mail(self, ticket, answer):
        files = [
            AttachedFile("Angebot.pdf", "application/pdf", b"%PDF-1"),
            AttachedFile("b.txt", "text/plain", b"b"),
        ]
        message = answer(ticket, attachments=files)
        rows = list(message.attachments.order_by("position"))
        assert [row.filename for row in rows] == ["Angebot.pdf", "b.txt"]
        assert [attachments.read(row) for row in rows] == [b"%PDF-1", b"b"]

    def test_a_form_sent_twice_sends_one_mail(self, ticket, answer):
        submission = uuid.uuid4()
        first = answer(ticket, submission=submission)
        assert answer(ticket, submission=submission) == first
        assert OutgoingMessage.objects.count() == 1
        assert ticket.messages.filter(kind="outgoing").count() == 1

    def test_of_two_requests_at_once_the_loser_leaves_no_mail(self, ticket, answer, queue_agent, monkeypatch):
        submission = uuid.uuid4()
        first = answer(ticket, submission=submission)
        answers = iter([None, first])
        monkeypatch.setattr("tickets.answering.message_of", lambda *_: next(answers))
        assert answer(ticket, submission=submission) == first
        assert OutgoingMessage.objects.count() == 1

    def test_somebody_elses_form_is_not_answered_for(self, ticket, answer, make_user, queue):
        submission = uuid.uuid4()
        answer(ticket, submission=submission)
        other = make_user(roles.AGENT)
        queue.agents.add(other)
        with pytest.raises(PermissionDenied):
            answer(ticket, by=other, submission=submission)

    @pytest.mark.parametrize("address", ["ceo@firma.example", "sales@brandis.example"])
    def test_w15_a_from_address_that_is_not_the_agents_is_refused(
        self, ticket, answer, make_account, make_user, address
    ):
        sales = make_account("sales@brandis.example")
        stranger = Employee.objects.create(
            address=Address.objects.create(number="E9", name="x"), user=make_user()
        )
        MailAccountEmployee.objects.create(account=sales, employee=stranger)
        with pytest.raises(PermissionDenied):
            answer(ticket, from_address=address)
        assert not OutgoingMessage.objects.exists()

    def test_an_agent_of_another_queue_is_refused(self, ticket, answer, make_user):
        with pytest.raises(PermissionDenied):
            answer(ticket, by=make_user(roles.AGENT))

    @pytest.mark.parametrize("role", [roles.STAFF, roles.MAIL_ADMINISTRATOR, roles.AUDITOR])
    def test_other_roles_are_refused(self, ticket, answer, make_user, role):
        with pytest.raises(PermissionDenied):
            answer(ticket, by=make_user(role))

    def test_a_superusers_answer_is_recorded(self, ticket, answer, make_user):
        answer(ticket, by=make_user(superuser=True))
        assert AuditEntry.objects.filter(action="ticket.reply", object_label__contains=ticket.number).exists()

    def test_without_transport_nothing_is_lost_or_half_done(self, ticket, answer, account):
        account.smtp.is_enabled = False
        account.smtp.save()
        with pytest.raises(NoTransport):
            answer(ticket)
        assert ticket.messages.filter(kind="outgoing").count() == 0

    @pytest.mark.parametrize("address", ["a b@x.example", "x@y.example\r\nBcc: z@z.example", ""])
    def test_an_address_that_is_none_is_refused(self, ticket, answer, address):
        with pytest.raises(InvalidAddress):
            answer(ticket, to=[Mailbox("", address)])

    def test_b65_what_a_customer_writes_is_never_sent_on(self, ticket, import_mail):
        import_mail(eml(subject=f"[#{ticket.number}]", cc="opfer@dritte.example"))
        assert not OutgoingMessage.objects.exists()

    def test_composing_happens_before_the_transaction(
        self, ticket, answer, monkeypatch, django_db_blocked_depth
    ):
        depth = django_db_blocked_depth
        answer(ticket)
        assert depth == [0]


@pytest.fixture
def django_db_blocked_depth(monkeypatch):
    """How many transactions were open, besides the test's own, when the mail was composed."""
    from tickets import answering

    outside = len(connection.savepoint_ids)
    found: list[int] = []
    compose = answering.compose

    def observed(draft):
        found.append(len(connection.savepoint_ids) - outside)
        return compose(draft)

    monkeypatch.setattr(answering, "compose", observed)
    return found


class TestSender:
    def test_on_answers_come_from_the_address_written_to(self, make_account, incoming, import_mail):
        account = make_account("info@brandis.example", sender_address="vertrieb@brandis.example")
        account.further_senders.create(pattern="kontakt@brandis.example")
        message = import_mail(incoming(eml(), account=account, delivered_to="Kontakt@brandis.example"))
        assert answer_sender(message.ticket).address == "Kontakt@brandis.example"

    def test_on_an_address_that_is_not_the_accounts_gives_the_accounts(
        self, make_account, incoming, import_mail
    ):
        account = make_account("info@brandis.example", sender_address="vertrieb@brandis.example")
        message = import_mail(incoming(eml(), account=account, delivered_to="liste@woanders.example"))
        assert answer_sender(message.ticket).address == "info@brandis.example"

    def test_off_answers_come_from_the_sender_address(self, make_account, incoming, import_mail):
        account = make_account(
            "info@brandis.example", sender_address="vertrieb@brandis.example", answers_from_own_address=False
        )
        message = import_mail(incoming(eml(), account=account))
        assert answer_sender(message.ticket).address == "vertrieb@brandis.example"

    def test_a_queue_right_suffices_for_the_preselected_address(self, ticket, make_user, queue):
        """The agent is no employee of any account."""
        somebody = Employee.objects.create(
            address=Address.objects.create(number="E1", name="x"), user=make_user()
        )
        MailAccountEmployee.objects.create(account=ticket.account, employee=somebody)
        agent = make_user(roles.AGENT)
        queue.agents.add(agent)
        assert senders_for_answer(ticket=ticket, by=agent)[0].address == ticket.account.email
        assert may_answer_from(ticket=ticket, by=agent, address=ticket.account.email.upper())

    def test_a_ticket_begun_by_us_goes_on_from_the_same_address(
        self, queue_agent, queue, account, make_account
    ):
        make_account("sales@brandis.example")
        ticket = _begin(queue_agent, queue, from_address="sales@brandis.example")
        assert answer_sender(ticket).address == "sales@brandis.example"

    def test_a_ticket_by_hand_falls_back_to_project_then_company(self, queue):
        Company.objects.create(name="Brandis", main_address="info@brandis.example", sender_name="Brandis")
        project = Project.objects.create(name="Nord", key="nord", preferred_sender="nord@brandis.example")
        ticket = Ticket.objects.create(
            number="20261124-00001",
            queue=queue,
            created_at="2026-11-24T00:00Z",
            last_message_at="2026-11-24T00:00Z",
        )
        assert answer_sender(ticket).address == "info@brandis.example"
        ticket.project = project
        assert answer_sender(ticket).address == "nord@brandis.example"


class TestRecipients:
    def test_the_sender_receives_the_answer(self, ticket):
        found = answer_recipients(ticket)
        assert (found.to, found.cc, found.warnings) == ([CARSTEN], [], [])

    def test_all_means_to_and_cc_without_us_each_once(self, import_mail, account):
        ticket = import_mail(
            eml(to=f"{account.email}, b@x.example", cc=f"B@x.example, c@x.example, {CUSTOMER}")
        ).ticket
        found = answer_recipients(ticket, to_all=True)
        assert [one.address.lower() for one in found.cc] == ["b@x.example", "c@x.example"]

    def test_b64_a_reply_to_elsewhere_is_followed_and_warned_of(self, import_mail):
        ticket = import_mail(eml(reply_to="konto@anderswo.example")).ticket
        found = answer_recipients(ticket)
        assert [one.address for one in found.to] == ["konto@anderswo.example"]
        assert [warning.code for warning in found.warnings] == [Mark.REPLY_TO_ELSEWHERE]
        assert found.warnings[0].data == {"from": CUSTOMER, "reply_to": "konto@anderswo.example"}

    def test_b64_a_name_is_not_lent_to_another_address(self, import_mail):
        ticket = import_mail(eml(reply_to="konto@anderswo.example")).ticket
        assert answer_recipients(ticket).to[0].name == ""

    def test_a_bounce_is_answered_by_nobody(self, ticket, import_mail, incoming):
        raw = eml(from_="mailer-daemon@mx.example", subject=f"[#{ticket.number}]")
        import_mail(incoming(raw, is_bounce=True))
        assert answer_recipients(ticket).to == [CARSTEN]

    def test_a_ticket_begun_by_us_goes_on_to_the_same_people(self, queue_agent, queue, account):
        ticket = _begin(queue_agent, queue, to=[Mailbox("Jana", "jana@ott.example")])
        assert answer_recipients(ticket).to == [Mailbox("Jana", "jana@ott.example")]

    def test_a_sender_without_valid_address_leaves_the_line_empty(self, import_mail, incoming):
        ticket = import_mail(incoming(eml(), sender=None, reply_address=None)).ticket
        assert answer_recipients(ticket).to == []


class TestCreate:
    def test_opens_a_ticket_that_waits_for_the_customer(self, queue_agent, queue, account):
        customer = Address.objects.create(number="1", name="Ott", is_customer=True, email="jana@ott.example")
        ticket = _begin(
            queue_agent, queue, subject="Ihr Auftrag", to=[Mailbox("Jana Ott", "jana@ott.example")]
        )
        assert (ticket.state, ticket.queue, ticket.account) == (State.WAITING_CUSTOMER, queue, account)
        assert (ticket.customer, ticket.requester_address) == (customer, "jana@ott.example")
        mail = sent(ticket.messages.get())
        assert mail.subject == f"Ihr Auftrag [#{ticket.number}]"
        assert ticket_of(mail.message_id) == ticket.number
        assert ticket.events.get().data == {"origin": "person"}

    def test_the_answer_joins(self, queue_agent, queue, account, import_mail):
        ticket = _begin(queue_agent, queue, to=[Mailbox("", "jana@ott.example")])
        back = import_mail(eml(from_="jana@ott.example", in_reply_to=f"<{ticket.messages.get().message_id}>"))
        assert (back.ticket, back.marks) == (ticket, [])

    def test_a_foreign_queue_is_refused(self, queue_agent, account):
        with pytest.raises(PermissionDenied):
            _begin(queue_agent, Queue.objects.create(name="Geheim"))

    def test_w15_a_from_address_that_is_not_ones_own_is_refused(self, queue_agent, queue, account):
        with pytest.raises(PermissionDenied):
            _begin(queue_agent, queue, from_address="ceo@firma.example")

    def test_a_form_sent_twice_opens_one_ticket(self, queue_agent, queue, account):
        submission = uuid.uuid4()
        first = _begin(queue_agent, queue, submission=submission)
        assert _begin(queue_agent, queue, submission=submission) == first
        assert Ticket.objects.count() == OutgoingMessage.objects.count() == 1

    def test_the_owner_of_a_personal_mailbox_may_use_any_queue(self, make_user, make_account):
        owner = make_user(roles.STAFF)
        personal = make_account("j.petersen@brandis.example")
        _own(personal, owner)
        assert (
            _begin(owner, Queue.objects.create(name="Allgemein"), from_address=personal.email).account
            == personal
        )


class TestReading:
    def test_t19_a_foreign_ticket_does_not_exist(self, ticket, make_user):
        with pytest.raises(Ticket.DoesNotExist):
            read_ticket(number=ticket.number, by=make_user(roles.AGENT))

    def test_t19_a_mail_administrator_reads_no_mail(self, ticket, mail_administrator):
        with pytest.raises(Ticket.DoesNotExist):
            read_ticket(number=ticket.number, by=mail_administrator)

    def test_an_agents_reading_is_not_recorded_a_superusers_is(self, ticket, queue_agent, make_user):
        read_ticket(number=ticket.number, by=queue_agent)
        assert not AuditEntry.objects.exists()
        superuser = make_user(superuser=True)
        read_ticket(number=ticket.number, by=superuser)
        assert AuditEntry.objects.get().actor == superuser

    def test_the_owner_of_the_mailbox_reads_its_tickets(self, make_user, make_account, incoming, import_mail):
        owner = make_user(roles.STAFF)
        personal = make_account("j.petersen@brandis.example")
        _own(personal, owner)
        ticket = import_mail(incoming(eml(), account=personal)).ticket
        assert read_ticket(number=ticket.number, by=owner) == ticket


class TestNotes:
    def test_a_note_stands_on_the_ticket_and_goes_nowhere(self, ticket, queue_agent):
        before = ticket.state
        note = add_note(ticket=ticket, by=queue_agent, text="Lagerschaden?\r\nRegal C4")
        ticket.refresh_from_db()
        assert (note.kind, note.author, note.text) == ("note", queue_agent, "Lagerschaden?\nRegal C4")
        assert ticket.state == before
        assert not OutgoingMessage.objects.exists()

    def test_a_note_sent_twice_counts_once(self, ticket, queue_agent):
        submission = uuid.uuid4()
        first = add_note(ticket=ticket, by=queue_agent, text="x", submission=submission)
        assert add_note(ticket=ticket, by=queue_agent, text="x", submission=submission) == first

    def test_strangers_write_no_notes(self, ticket, make_user):
        with pytest.raises(PermissionDenied):
            add_note(ticket=ticket, by=make_user(roles.AGENT), text="x")

    def test_an_answer_never_quotes_a_note(self, ticket, queue_agent, answer):
        add_note(ticket=ticket, by=queue_agent, text="GEHEIM")
        assert b"GEHEIM" not in answer(ticket).outgoing.raw.content_bytes


def test_events_hold_nothing_postgresql_refuses(ticket):
    event = record_event(ticket, Event.AUTOREPLY_SUPPRESSED, data={"reason": "a\0b\udcff", "count": 3})
    event.refresh_from_db()
    assert event.data == {"reason": "ab?", "count": 3}


def _begin(by, queue: Queue, **fields) -> Ticket:
    return create_ticket(
        **{
            "by": by,
            "from_address": "service@brandis.example",
            "to": [CARSTEN],
            "subject": "Wartung",
            "text": "Guten Tag",
            "queue": queue,
        }
        | fields
    )


def _own(account: MailAccount, user) -> None:
    account.kind = MailAccount.Kind.PERSONAL
    account.save()
    record = Address.objects.create(number=f"E-{user.pk}", name="Jana Petersen", is_employee=True)
    employee = Employee.objects.create(address=record, user=user)
    MailAccountEmployee.objects.create(account=account, employee=employee)
