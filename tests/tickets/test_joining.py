"""Which ticket an incoming mail belongs to (product §10, T5)."""

from __future__ import annotations

import pytest

from mailkit.addresses import Address
from masterdata.models import Company
from tests.tickets.mails import CUSTOMER, eml
from tickets.models import Participant, Ticket, TicketMessage
from tickets.tokens import make_message_id
from tickets.vocabulary import Event, Mark

STRANGER = "Eve <eve@angreifer.example>"


def first_id(ticket: Ticket) -> str:
    return ticket.messages.earliest("pk").message_id


def test_a_mail_that_answers_nothing_begins_a_ticket(import_mail, account, queue):
    message = import_mail(eml())
    ticket = message.ticket
    assert (ticket.state, ticket.queue, ticket.account) == (Ticket.State.NEW, queue, account)
    assert (ticket.requester_address, ticket.requester_name) == (CUSTOMER, "Carsten Meinhold")
    assert ticket.subject == "Förderband FB-220 steht"
    assert [event.code for event in ticket.events.all()] == [Event.CREATED]


@pytest.mark.parametrize("header", ["in_reply_to", "references"])
def test_an_answer_of_a_participant_joins_by_reference(import_mail, ticket, header):
    answer = import_mail(eml(subject="AW: ganz anders", **{header: f"<{first_id(ticket)}>"}))
    assert answer.ticket == ticket
    assert answer.marks == []


def test_the_latest_reference_counts_first(import_mail, ticket):
    other = import_mail(eml(subject="Ein zweites Anliegen")).ticket
    references = f"<{first_id(ticket)}> <{first_id(other)}>"
    assert import_mail(eml(references=references)).ticket == other


@pytest.mark.parametrize("subject", ["AW: Förderband [#{}]", "Ticket {} noch immer offen", "[{}]"])
def test_an_answer_of_a_participant_joins_by_number(import_mail, ticket, subject):
    assert import_mail(eml(subject=subject.format(ticket.number))).ticket == ticket


def test_whoever_the_customer_copied_takes_part(import_mail):
    ticket = import_mail(eml(cc="Leitstand <leitstand@swl-netz.example>")).ticket
    answer = import_mail(eml(from_="LEITSTAND@swl-netz.example", in_reply_to=f"<{first_id(ticket)}>"))
    assert answer.ticket == ticket


def test_b74_readers_of_a_circular_do_not_take_part(import_mail):
    many = ", ".join(f"p{n}@verteiler.example" for n in range(200))
    message = import_mail(eml(cc=many))
    assert len(message.cc) == 200
    assert list(message.ticket.participants.values_list("address", flat=True)) == [CUSTOMER]


def test_own_addresses_never_become_participants_by_being_written_to(import_mail, account):
    ticket = import_mail(eml(to="Service <SERVICE@brandis.example>", cc="x@y.example")).ticket
    assert set(ticket.participants.values_list("address", flat=True)) == {CUSTOMER, "x@y.example"}


def test_b66_foreign_number_makes_a_new_linked_marked_ticket(import_mail, ticket):
    message = import_mail(eml(from_=STRANGER, subject=f"Re: [#{ticket.number}]"))
    assert message.ticket != ticket
    assert message.ticket.marks == message.marks == [Mark.FOREIGN_NUMBER]
    assert list(message.ticket.related.all()) == [ticket]
    assert list(ticket.related.all()) == [message.ticket]
    event = message.ticket.events.get(code=Event.LINKED)
    assert event.data == {"number": ticket.number, "reason": Mark.FOREIGN_NUMBER}


def test_b66_nothing_of_the_foreign_ticket_enters_the_new_one(import_mail, ticket):
    new = import_mail(eml(from_=STRANGER, subject=f"Re: [#{ticket.number}]")).ticket
    assert new.customer_id is None
    assert set(new.participants.values_list("address", flat=True)) == {"eve@angreifer.example"}
    assert ticket.messages.count() == 1
    assert ticket.participants.filter(address="eve@angreifer.example").count() == 0


def test_t5_a_guessed_reference_makes_a_new_linked_marked_ticket(import_mail, ticket):
    message = import_mail(eml(from_=STRANGER, in_reply_to=f"<{first_id(ticket)}>"))
    assert message.ticket != ticket
    assert message.marks == [Mark.FOREIGN_REFERENCE]
    assert list(message.ticket.related.all()) == [ticket]


def test_t5_an_allowed_claim_counts_though_another_is_foreign(import_mail, ticket):
    other = import_mail(eml(from_=STRANGER, subject="Etwas anderes")).ticket
    references = f"<{first_id(ticket)}> <{first_id(other)}>"
    assert import_mail(eml(references=references)).ticket == ticket


def test_b65_a_forged_colleague_with_a_guessed_id_is_a_stranger(import_mail, ticket, account):
    forged = import_mail(eml(from_="Brandis <service@brandis.example>", in_reply_to=f"<{first_id(ticket)}>"))
    assert forged.ticket != ticket
    assert set(forged.marks) == {Mark.FOREIGN_REFERENCE, Mark.OWN_ADDRESS_AS_SENDER}
    assert (forged.kind, forged.author, forged.outgoing) == (TicketMessage.Kind.INCOMING, None, None)


def test_b65_mail_never_acts_as_a_colleague_even_with_a_token(import_mail, ticket, account):
    token = make_message_id(ticket.number, "brandis.example")
    forged = import_mail(eml(from_="service@brandis.example", in_reply_to=f"<{token}>"))
    assert (forged.ticket, forged.kind, forged.author) == (ticket, TicketMessage.Kind.INCOMING, None)
    assert Mark.OWN_ADDRESS_AS_SENDER in forged.marks


def test_b69_a_token_replayed_by_a_third_party_joins_marked_and_brings_nobody_in(import_mail, ticket):
    token = make_message_id(ticket.number, "brandis.example")
    replay = import_mail(eml(from_=STRANGER, cc="komplize@angreifer.example", references=f"<{token}>"))
    assert replay.ticket == ticket
    assert replay.marks == [Mark.TOKEN_FROM_UNKNOWN_SENDER]
    assert set(ticket.participants.values_list("address", flat=True)) == {CUSTOMER}


def test_b69_once_more_without_token_the_third_party_is_a_stranger_still(import_mail, ticket):
    token = make_message_id(ticket.number, "brandis.example")
    replay = import_mail(eml(from_=STRANGER, references=f"<{token}>"))
    assert import_mail(eml(from_=STRANGER, references=f"<{replay.message_id}>")).ticket != ticket


def test_t5_a_tampered_token_is_no_token(import_mail, ticket):
    token = make_message_id(ticket.number, "brandis.example").replace(".", ".a", 1)
    assert import_mail(eml(from_=STRANGER, references=f"<{token}>")).ticket != ticket


def test_t5_a_sender_known_to_be_forged_takes_part_in_nothing(import_mail, incoming, ticket):
    raw = eml(in_reply_to=f"<{first_id(ticket)}>")
    forged = import_mail(incoming(raw, marks=(Mark.AUTHENTICATION_FAILED,)))
    assert forged.ticket != ticket
    assert set(forged.marks) == {Mark.AUTHENTICATION_FAILED, Mark.FOREIGN_REFERENCE}


def test_b68_control_headers_of_other_systems_do_nothing(import_mail, ticket):
    raw = eml(
        from_=STRANGER,
        X_OTRS_TicketNumber=ticket.number,
        X_RT_Ticket=ticket.number,
        X_Ticket_State="closed",
        X_Ticket_Queue="Geheim",
        X_Ticket_Owner="root",
    )
    message = import_mail(raw)
    assert message.ticket != ticket
    assert (message.ticket.state, message.ticket.queue) == (Ticket.State.NEW, ticket.queue)
    assert message.ticket.assignee is None
    assert message.marks == []


def test_mails_of_one_batch_that_answer_each_other_join_in_order(import_mails):
    messages = import_mails(
        eml(message_id="a@x.example", subject="Anfrage"),
        eml(message_id="b@x.example", in_reply_to="<a@x.example>"),
        eml(message_id="c@x.example", from_=STRANGER, in_reply_to="<b@x.example>"),
        eml(message_id="d@x.example", references="<a@x.example> <b@x.example>"),
    )
    first, second, strange, fourth = messages
    assert first.ticket == second.ticket == fourth.ticket
    assert strange.ticket != first.ticket
    assert list(strange.ticket.related.all()) == [first.ticket]
    assert [m.pk for m in first.ticket.messages.order_by("pk")] == [first.pk, second.pk, fourth.pk]


def test_a_contact_forms_reply_to_is_the_requester(import_mail, incoming):
    visitor = Address("Jana Ott", "jana@ott.example")
    raw = eml(from_="Webseite <form@brandis-shop.example>", reply_to="Jana Ott <jana@ott.example>")
    message = import_mail(incoming(raw, sender=visitor, marks=(Mark.CONTACT_FORM,)))
    assert message.from_address == message.ticket.requester_address == "jana@ott.example"
    assert message.marks == [Mark.CONTACT_FORM]
    assert Participant.objects.filter(ticket=message.ticket, address="jana@ott.example").exists()


@pytest.mark.usefixtures("company")
def test_b61_a_name_that_is_an_address_counts_for_nothing(import_mail):
    message = import_mail(eml(from_='"ceo@firma.example" <evil@x.example>'))
    assert (message.from_address, message.author) == ("evil@x.example", None)
    assert message.marks == message.ticket.marks == [Mark.ADDRESS_IN_DISPLAY_NAME]
    assert message.ticket.customer is None


@pytest.mark.parametrize(
    "name", ["service@brandis.example", "Service SERVICE@Brandis.example", "service\u200b@brandis.example"]
)
def test_b62_a_name_that_imitates_our_address_is_marked(import_mail, name):
    message = import_mail(eml(from_=f'"{name}" <evil@x.example>'))
    assert Mark.OWN_ADDRESS_AS_NAME in message.marks


def test_b62_our_own_mailers_name_is_no_imitation(import_mail):
    message = import_mail(eml(from_='"service@brandis.example" <service@brandis.example>'))
    assert Mark.OWN_ADDRESS_AS_NAME not in message.marks


def test_b64_answers_that_go_elsewhere_are_marked_on_the_message_only(import_mail):
    message = import_mail(eml(reply_to="konto@anderswo.example"))
    assert message.marks == [Mark.REPLY_TO_ELSEWHERE]
    assert message.ticket.marks == []


def test_an_automatic_answer_is_marked(import_mail, ticket):
    notice = eml(
        subject="Abwesenheitsnotiz", in_reply_to=f"<{first_id(ticket)}>", auto_submitted="auto-replied"
    )
    assert import_mail(notice).marks == [Mark.AUTOMATIC]


@pytest.fixture
def company(db) -> Company:
    return Company.objects.create(name="Brandis Fördertechnik", main_address="info@brandis.example")
