"""Changing a ticket's properties, each with its line in the history."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from audit.models import AuditEntry
from masterdata import roles
from masterdata.models import Address, Project
from tickets.models import Queue, Ticket
from tickets.selectors import assignable_users
from tickets.services import change_ticket
from tickets.vocabulary import Event

State = Ticket.State


def history(ticket: Ticket) -> list[tuple[str, dict]]:
    return [(event.code, event.data) for event in ticket.events.exclude(code=Event.CREATED).order_by("pk")]


def test_every_property_that_changes_makes_a_line_and_equal_ones_none(ticket, queue_agent):
    project = Project.objects.create(name="Service Nord", key="nord")
    customer = Address.objects.create(number="10482", name="Stadtwerke", is_customer=True)
    changed = change_ticket(
        ticket=ticket,
        by=queue_agent,
        state=State.OPEN,
        priority=Ticket.Priority.HIGH,
        queue=ticket.queue,
        assignee=queue_agent,
        project=project,
        customer=customer,
    )
    assert (changed.state, changed.project, changed.customer) == (State.OPEN, project, customer)
    assert dict(history(ticket)) == {
        Event.STATE_CHANGED: {"from": "new", "to": "open"},
        Event.PRIORITY_CHANGED: {"from": 2, "to": 3},
        Event.ASSIGNEE_CHANGED: {"from": "", "to": queue_agent.username},
        Event.PROJECT_CHANGED: {"from": "", "to": "Service Nord"},
        Event.CUSTOMER_CHANGED: {"from": "", "to": "Stadtwerke"},
    }
    assert {event.actor for event in ticket.events.exclude(code=Event.CREATED)} == {queue_agent}
    change_ticket(ticket=ticket, by=queue_agent, state=State.OPEN, project=project)
    assert len(history(ticket)) == 5


def test_closing_notes_the_moment_and_reopening_forgets_it(ticket, queue_agent):
    closed = change_ticket(ticket=ticket, by=queue_agent, state=State.CLOSED)
    assert closed.closed_at is not None
    opened = change_ticket(ticket=ticket, by=queue_agent, state=State.OPEN)
    assert (opened.closed_at, opened.stays_closed) == (None, False)


def test_a_stale_page_changes_only_what_it_says(ticket, queue_agent):
    stale = Ticket.objects.get(pk=ticket.pk)
    change_ticket(ticket=ticket, by=queue_agent, priority=Ticket.Priority.URGENT)
    change_ticket(ticket=stale, by=queue_agent, state=State.CLARIFY)
    ticket.refresh_from_db()
    assert (ticket.priority, ticket.state) == (Ticket.Priority.URGENT, State.CLARIFY)


def test_only_who_works_the_queue_can_be_assigned(ticket, queue_agent, make_user):
    with pytest.raises(ValidationError) as error:
        change_ticket(ticket=ticket, by=queue_agent, assignee=make_user(roles.AGENT))
    assert list(error.value.message_dict) == ["assignee"]
    assert history(ticket) == []


def test_moving_to_a_queue_takes_off_who_does_not_work_it(ticket, queue_agent):
    change_ticket(ticket=ticket, by=queue_agent, assignee=queue_agent)
    other = Queue.objects.create(name="Vertrieb")
    moved = change_ticket(ticket=ticket, by=queue_agent, queue=other)
    assert (moved.queue, moved.assignee) == (other, None)
    assert [code for code, _ in history(ticket)][-2:] == [Event.QUEUE_CHANGED, Event.ASSIGNEE_CHANGED]


@pytest.mark.parametrize("changes", [{"state": "gone"}, {"priority": 9}])
def test_unknown_values_are_refused(ticket, queue_agent, changes):
    with pytest.raises(ValidationError) as error:
        change_ticket(ticket=ticket, by=queue_agent, **changes)
    assert list(error.value.message_dict) == list(changes)


def test_an_inactive_queue_takes_no_tickets(ticket, queue_agent):
    with pytest.raises(ValidationError):
        change_ticket(ticket=ticket, by=queue_agent, queue=Queue.objects.create(name="Alt", is_active=False))


@pytest.mark.parametrize("field", ["number", "marks", "stays_closed", "account"])
def test_w2_nothing_else_can_be_changed(ticket, queue_agent, field):
    with pytest.raises(TypeError):
        change_ticket(ticket=ticket, by=queue_agent, **{field: "x"})


def test_strangers_change_nothing(ticket, make_user):
    with pytest.raises(PermissionDenied):
        change_ticket(ticket=ticket, by=make_user(roles.AGENT), state=State.CLOSED)


def test_a_superusers_change_is_recorded(ticket, make_user):
    change_ticket(ticket=ticket, by=make_user(superuser=True), state=State.SPAM)
    entry = AuditEntry.objects.get(action="ticket.change")
    assert entry.changes == {Event.STATE_CHANGED: ["new", "spam"]}


def test_assignable_are_active_agents_of_the_queue(ticket, queue, queue_agent, make_user):
    gone = make_user(roles.AGENT)
    gone.is_active = False
    gone.save()
    without_role = make_user(roles.STAFF)
    queue.agents.add(gone, without_role)
    assert list(assignable_users(queue, ticket=ticket)) == [queue_agent]
