"""What a mail does to the state of its ticket (product §4, §10)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from mailkit.addresses import Address
from tests.tickets.mails import eml
from tickets.importing import PlanOutdated, import_batch, plan_batch
from tickets.joining import state_after_mail
from tickets.models import Ticket
from tickets.selectors import answer_recipients
from tickets.services import change_ticket, reply
from tickets.tokens import make_message_id
from tickets.vocabulary import Event, Mark

State = Ticket.State


def answer_to(ticket: Ticket, **headers: str) -> bytes:
    return eml(subject=f"AW: [#{ticket.number}]", **headers)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.NEW, State.NEW),
        (State.OPEN, State.OPEN),
        (State.WAITING_CUSTOMER, State.OPEN),
        (State.WAITING_INTERNAL, State.WAITING_INTERNAL),
        (State.CLARIFY, State.CLARIFY),
        (State.CLOSED, State.OPEN),
        (State.SPAM, State.SPAM),
        (State.TRASH, State.TRASH),
    ],
)
def test_an_answer_moves_only_what_waited_or_was_closed(import_mail, ticket, before, after):
    Ticket.objects.filter(pk=ticket.pk).update(state=before, closed_at=timezone.now())
    import_mail(answer_to(ticket))
    ticket.refresh_from_db()
    assert ticket.state == after
    changed = ticket.events.filter(code=Event.STATE_CHANGED)
    expected = [] if before == after else [{"from": before, "to": after, "cause": "mail"}]
    assert [event.data for event in changed] == expected


def test_a_reopened_ticket_is_closed_no_more_and_the_newest_again(import_mail, ticket):
    old = timezone.now() - timedelta(days=3)
    Ticket.objects.filter(pk=ticket.pk).update(state=State.CLOSED, closed_at=old, last_message_at=old)
    message = import_mail(answer_to(ticket))
    ticket.refresh_from_db()
    assert ticket.closed_at is None
    assert ticket.last_message_at == message.at


def test_closed_on_import_stays_closed_whatever_comes(make_account, incoming, import_mail):
    account = make_account("archiv@brandis.example", closes_on_import=True)
    ticket = import_mail(incoming(eml(), account=account)).ticket
    assert (ticket.state, ticket.stays_closed) == (State.CLOSED, True)
    assert import_mail(incoming(answer_to(ticket), account=account)).ticket == ticket
    ticket.refresh_from_db()
    assert (ticket.state, ticket.stays_closed) == (State.CLOSED, True)


def test_closed_on_import_does_not_age_into_new_tickets(make_account, incoming, import_mail):
    account = make_account("archiv@brandis.example", closes_on_import=True)
    ticket = import_mail(incoming(eml(), account=account)).ticket
    Ticket.objects.filter(pk=ticket.pk).update(closed_at=timezone.now() - timedelta(days=400))
    assert import_mail(incoming(answer_to(ticket), account=account)).ticket == ticket


def test_closed_on_import_reopens_once_a_person_has_answered(
    make_account, incoming, import_mail, queue_agent
):
    account = make_account("archiv@brandis.example", closes_on_import=True)
    ticket = import_mail(incoming(eml(), account=account)).ticket
    to = answer_recipients(ticket).to
    reply(ticket=ticket, by=queue_agent, from_address=account.email, to=to, text="Danke.", closes=True)
    ticket.refresh_from_db()
    assert (ticket.state, ticket.stays_closed) == (State.CLOSED, False)
    import_mail(incoming(answer_to(ticket), account=account))
    ticket.refresh_from_db()
    assert ticket.state == State.OPEN


def test_closed_on_import_reopens_once_a_person_has_reopened(
    make_account, incoming, import_mail, queue_agent
):
    account = make_account("archiv@brandis.example", closes_on_import=True)
    ticket = import_mail(incoming(eml(), account=account)).ticket
    change_ticket(ticket=ticket, by=queue_agent, state=State.OPEN)
    change_ticket(ticket=ticket, by=queue_agent, state=State.CLOSED)
    import_mail(incoming(answer_to(ticket), account=account))
    ticket.refresh_from_db()
    assert ticket.state == State.OPEN


@pytest.mark.parametrize(("days", "joins"), [(29, True), (31, False)])
def test_after_thirty_days_closed_an_answer_begins_a_linked_ticket(import_mail, ticket, days, joins):
    Ticket.objects.filter(pk=ticket.pk).update(
        state=State.CLOSED, closed_at=timezone.now() - timedelta(days=days)
    )
    message = import_mail(answer_to(ticket))
    ticket.refresh_from_db()
    assert (message.ticket == ticket) is joins
    if not joins:
        assert ticket.state == State.CLOSED
        assert message.ticket.marks == [Mark.FOLLOW_UP]
        assert list(message.ticket.related.all()) == [ticket]


def test_the_thirty_days_are_a_setting(settings, import_mail, ticket):
    settings.TICKET_REOPEN_DAYS = 7
    Ticket.objects.filter(pk=ticket.pk).update(
        state=State.CLOSED, closed_at=timezone.now() - timedelta(days=8)
    )
    assert import_mail(answer_to(ticket)).ticket != ticket


def test_a_token_does_not_reopen_what_was_closed_long_ago(import_mail, ticket):
    Ticket.objects.filter(pk=ticket.pk).update(
        state=State.CLOSED, closed_at=timezone.now() - timedelta(days=99)
    )
    token = make_message_id(ticket.number, "brandis.example")
    assert import_mail(eml(in_reply_to=f"<{token}>")).ticket != ticket


@pytest.mark.parametrize("state", [State.CLOSED, State.WAITING_CUSTOMER])
def test_an_absence_notice_reopens_nothing(import_mail, ticket, state):
    Ticket.objects.filter(pk=ticket.pk).update(state=state, closed_at=timezone.now())
    assert import_mail(answer_to(ticket, auto_submitted="auto-replied")).ticket == ticket
    ticket.refresh_from_db()
    assert ticket.state == state
    assert ticket.closed_at is not None


@pytest.mark.parametrize("closes", [True, False])
def test_r37_our_own_answer_to_another_of_our_accounts_wakes_nobody(
    import_mail, incoming, make_account, account, ticket, queue_agent, closes
):
    sales = make_account("sales@brandis.example")
    to = [*answer_recipients(ticket).to, Address("", sales.email)]
    sent = reply(
        ticket=ticket, by=queue_agent, from_address=account.email, to=to, text="Danke.", closes=closes
    )
    ticket.refresh_from_db()
    before = (ticket.state, ticket.closed_at)
    raw = b"Received: from mx.example\r\n" + sent.raw.content_bytes
    came_back = import_mail(incoming(raw, account=sales))
    ticket.refresh_from_db()
    assert came_back.ticket == ticket
    assert Mark.ALSO_SENT_TO in came_back.marks
    assert Mark.TOKEN_FROM_UNKNOWN_SENDER not in came_back.marks
    assert (ticket.state, ticket.closed_at) == before


def test_r37_an_id_of_ours_under_a_proven_forgery_is_no_answer_of_ours(
    import_mail, incoming, account, ticket, queue_agent
):
    to = answer_recipients(ticket).to
    sent = reply(ticket=ticket, by=queue_agent, from_address=account.email, to=to, text="Danke.", closes=True)
    forged = incoming(sent.raw.content_bytes + b"Nachtrag\r\n", marks=(Mark.AUTHENTICATION_FAILED,))
    assert Mark.TOKEN_FROM_UNKNOWN_SENDER in import_mail(forged).marks
    ticket.refresh_from_db()
    assert ticket.state == State.OPEN


def test_b70_a_customers_second_mail_under_the_same_id_reopens_all_the_same(import_mail, ticket):
    first = answer_to(ticket, message_id="again@stadtwerke.example")
    import_mail(first)
    Ticket.objects.filter(pk=ticket.pk).update(state=State.CLOSED, closed_at=timezone.now())
    import_mail(first + b"Noch etwas\r\n")
    ticket.refresh_from_db()
    assert ticket.state == State.OPEN


def test_the_state_is_judged_as_it_is_when_the_batch_is_written(incoming, ticket, queue_agent):
    plan = plan_batch([incoming(answer_to(ticket))])
    change_ticket(ticket=ticket, by=queue_agent, state=State.CLOSED)
    with transaction.atomic():
        import_batch(plan)
    ticket.refresh_from_db()
    assert (ticket.state, ticket.closed_at) == (State.OPEN, None)


def test_a_plan_whose_ticket_is_gone_writes_nothing(incoming, ticket):
    plan = plan_batch([incoming(answer_to(ticket)), incoming(eml(subject="neu"))])
    ticket.delete()
    with pytest.raises(PlanOutdated), transaction.atomic():
        import_batch(plan)
    assert not Ticket.objects.exists()


def test_state_after_mail_knows_every_state():
    assert {state_after_mail(state, stays_closed=True) for state in State} <= set(State)
