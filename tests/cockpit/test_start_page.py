"""The start page shows each what concerns them, and nothing else."""

from __future__ import annotations

import pytest
from django.utils import timezone

from mailaccounts.models import AccountHealth, ImapSettings, MailAccount
from tickets.models import Queue, Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket(agent) -> Ticket:
    """An open ticket in a queue of the agent's."""
    queue = Queue.objects.create(name="Service")
    queue.agents.add(agent)
    now = timezone.now()
    return Ticket.objects.create(
        number="20261124-00001", subject="Förderband steht", queue=queue, created_at=now, last_message_at=now
    )


def test_an_agent_sees_the_tickets_of_their_queues(client, agent, ticket):
    client.force_login(agent)
    page = client.get("/").content.decode()
    assert "Förderband steht" in page


def test_staff_and_strangers_see_no_ticket(client, make_user, ticket):
    for user in (make_user("staff"), make_user("agent")):
        client.force_login(user)
        assert "Förderband steht" not in client.get("/").content.decode()


def test_first_steps_guide_the_administrator_until_done(client, mail_administrator, agent):
    client.force_login(mail_administrator)
    assert "/accounts/" in client.get("/").content.decode()


def test_only_administrators_see_failing_accounts(client, mail_administrator, agent):
    account = MailAccount.objects.create(display_name="Buchhaltung", email="b@erp.example")
    ImapSettings.objects.create(account=account, host="imap.erp.example", username="b")
    AccountHealth.objects.create(
        account=account, error_code="authentication_failed", failing_since=timezone.now()
    )
    client.force_login(mail_administrator)
    assert "Buchhaltung" in client.get("/").content.decode()
    client.force_login(agent)
    assert "Buchhaltung" not in client.get("/").content.decode()


def test_visitors_are_sent_to_the_login(client):
    response = client.get("/")
    assert response.status_code == 302
    assert response.url.startswith("/login")
