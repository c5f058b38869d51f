"""The pages of the outbox: who sees what, what the words say, and that the buttons do what they say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEntry
from mailaccounts.models import MailAccountEmployee
from mailkit.addresses import Address
from mailkit.errors import ConnectionRefused
from masterdata.models import Address as PostalAddress
from masterdata.models import Employee
from outbound import services, throttling
from outbound.models import DeliveryAttempt, OutgoingMessage, Recipient
from tests.outbound.conftest import draft
from tickets.models import Queue, Ticket, TicketMessage

pytestmark = pytest.mark.django_db

State, CopyState = OutgoingMessage.State, OutgoingMessage.CopyState
LIST = "/outbox/"


@pytest.fixture(autouse=True)
def german(settings):
    settings.LANGUAGE_CODE = "de"
    cache.clear()


@pytest.fixture
def account(make_account):
    return make_account(sent_folder="Sent")


@pytest.fixture
def queue(account, agent):
    def make(state=State.QUEUED, by=agent, **changes) -> OutgoingMessage:
        fields = {name: changes.pop(name) for name in list(changes) if name in DRAFT_FIELDS}
        row = services.queue_message(draft=draft(**fields), by=by)
        OutgoingMessage.objects.filter(pk=row.pk).update(state=state, **changes)
        row.refresh_from_db()
        return row

    return make


DRAFT_FIELDS = {"subject", "to", "bcc", "cc", "purpose", "text"}


@pytest.fixture
def sign_in(client):
    def make(user):
        client.force_login(user)
        return client

    return make


def page(response) -> str:
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def url(name: str, row: OutgoingMessage) -> str:
    return reverse(f"outbound:{name}", args=[row.pk])


# -- the list


def test_the_list_shows_state_recipients_account_and_attempts(queue, agent, sign_in):
    queue(subject="Angebot AN-1", to=[Address("", "a@kunde.example"), Address("", "b@kunde.example")])
    text = page(sign_in(agent).get(LIST))
    for expected in (
        "Postausgang",
        "Angebot AN-1",
        "an a@kunde.example und 1 weitere",
        "Firma Service",
        "Wartet",
    ):
        assert expected in text


def test_a_failed_mail_shows_cause_remedy_and_the_reply_verbatim(queue, agent, sign_in):
    queue(
        State.FAILED,
        last_error="delivery_permanent",
        last_reply_code=550,
        last_reply="5.1.1 <x> User unknown",
    )
    text = page(sign_in(agent).get(LIST))
    assert "Der Empfänger ist dem Zielserver unbekannt." in text
    assert "<code>550 5.1.1 &lt;x&gt; User unknown</code>" in text
    assert "Erneut senden" in text


def test_an_uncertain_mail_offers_both_decisions(queue, agent, sign_in):
    queue(State.UNCERTAIN, last_error="delivery_uncertain")
    text = page(sign_in(agent).get(LIST))
    for expected in (
        "Unklar",
        "Die Verbindung riss ab, bevor der Server antwortete.",
        "War angekommen",
        "Noch einmal senden",
    ):
        assert expected in text


def test_an_uncertain_automatic_answer_offers_no_repetition(queue, agent, sign_in):
    queue(State.UNCERTAIN, last_error="delivery_uncertain", purpose=OutgoingMessage.Purpose.AUTO_REPLY)
    text = page(sign_in(agent).get(LIST))
    assert "War angekommen" in text
    assert "Noch einmal senden" not in text


def test_an_account_that_cannot_send_is_named_once_above_the_list(queue, account, agent, sign_in):
    for _ in range(3):
        queue()
    assert "E-Mails warten." not in page(sign_in(agent).get(LIST))
    throttling.hold_off(account, ConnectionRefused("port closed"))
    text = page(sign_in(agent).get(LIST))
    assert text.count("Nichts ist verloren") == 1
    assert "3 E-Mails warten." in text
    throttling.clear([account.pk])
    account.smtp.__class__.objects.update(is_enabled=False)
    assert "SMTP" in page(sign_in(agent).get(LIST))


def test_a_greylisted_mail_is_a_quiet_line(queue, agent, sign_in):
    queue(
        attempts=1, last_error="delivery_transient", last_reply_code=451, last_reply="4.7.1 Greylisted",
        next_attempt_at=timezone.now() + timedelta(minutes=3),
    )  # fmt: skip
    text = page(sign_in(agent).get(LIST))
    assert "(Greylisting) · nächster Versuch" in text
    assert "trouble" not in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"q", "f", "u", "s", "b"}),
        ("?state=open", {"q"}),
        ("?state=failed", {"f", "b"}),
        ("?state=uncertain", {"u"}),
        ("?state=sent", {"s"}),
        ("?q=Betreff-u", {"u"}),
        ("?q=meinhold+Betreff-s", {"s"}),
        ("?q=niemand", set()),
    ],
)
def test_filters_and_search(queue, agent, sign_in, query, expected):
    queue(subject="Betreff-q")
    queue(State.FAILED, subject="Betreff-f")
    queue(State.UNCERTAIN, subject="Betreff-u")
    queue(State.SENT, subject="Betreff-s")
    queue(State.SENT, subject="Betreff-b", bounced_at=timezone.now(), bounce_detail="5.1.1 unknown")
    text = page(sign_in(agent).get(LIST + query))
    assert {name for name in "qfusb" if f">Betreff-{name}<" in text} == expected


def test_paging_by_keyset_meets_every_mail_once(queue, agent, sign_in):
    for number in range(120):
        queue(subject=f"Mail-{number:03}")
    client, address, seen = sign_in(agent), LIST, []
    while address:
        response = client.get(address)
        seen += [row.message.subject for row in response.context["outbox_rows"]]
        cursor = response.context["page"].next_cursor
        address = f"{LIST}?cursor={cursor}" if cursor else ""
    assert seen == [f"Mail-{number:03}" for number in reversed(range(120))]


def test_more_rows_cost_no_more_queries(queue, agent, sign_in):
    client = sign_in(agent)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(client.get(LIST))
        return len(captured)

    for state in (State.QUEUED, State.FAILED):
        queue(state, last_error="delivery_permanent")
    queries()
    few = queries()
    for _ in range(10):
        for state in (State.QUEUED, State.FAILED, State.SENT, State.UNCERTAIN):
            queue(state, last_error="delivery_permanent")
    assert queries() == few


def test_b59_the_csv_carries_no_formula(queue, agent, sign_in):
    queue(subject="=cmd|' /C calc'!A0")
    response = sign_in(agent).get(f"{LIST}?format=csv")
    text = b"".join(response.streaming_content).decode()
    assert "'=cmd|" in text
    assert "c.meinhold@kunde.example" in text


def test_the_navigation_counts_what_was_not_delivered(queue, agent, sign_in):
    queue(State.FAILED)
    queue(State.UNCERTAIN)
    queue(State.FAILED, settled_at=timezone.now())
    text = page(sign_in(agent).get(LIST))
    assert 'data-tone="warn">2<span class="sr-note"> nicht zugestellt' in text


# -- who sees what (W1, T19)


@pytest.fixture
def owner(make_user, make_account):
    user = make_user("staff")
    personal = make_account("jana@firma.example", kind="personal")
    address = PostalAddress.objects.create(number="M-1", name="Jana", is_employee=True)
    MailAccountEmployee.objects.create(
        account=personal, employee=Employee.objects.create(address=address, user=user)
    )
    return user


def test_w1_everybody_sees_their_own_mail_and_administrators_all(
    queue, agent, make_user, mail_administrator, sign_in
):
    row = queue()
    other = make_user("staff")
    for user, status in ((agent, 200), (mail_administrator, 200), (other, 404)):
        assert sign_in(user).get(url("message", row)).status_code == status
        assert (row.subject in page(sign_in(user).get(LIST))) == (status == 200)


def test_w1_owners_see_what_their_account_sent(queue, owner, account, sign_in):
    mine = queue()
    from mailaccounts.models import MailAccount

    OutgoingMessage.objects.filter(pk=mine.pk).update(
        from_account=MailAccount.objects.get(email="jana@firma.example"), created_by=None
    )
    assert sign_in(owner).get(url("message", mine)).status_code == 200
    assert sign_in(owner).get(url("raw", mine)).status_code == 200


@pytest.mark.parametrize(
    "name", ["message", "raw", "cancel", "try_now", "send_again", "arrived", "dismiss", "copy_again"]
)
def test_t19_foreign_mail_does_not_exist(queue, make_user, sign_in, name):
    row = queue()
    client = sign_in(make_user("staff"))
    assert client.get(url(name, row)).status_code == 404
    if name not in {"message", "raw"}:
        assert client.post(url(name, row)).status_code == 404
    row.refresh_from_db()
    assert row.state == State.QUEUED


def test_t19_bulk_leaves_foreign_mail_alone(queue, make_user, sign_in):
    row = queue()
    sign_in(make_user("staff")).post("/outbox/bulk/", {"action": "cancel", "pick": [row.pk]})
    row.refresh_from_db()
    assert row.state == State.QUEUED


def test_content_is_for_writer_and_owner_not_for_administrators(
    queue, agent, mail_administrator, make_user, sign_in
):
    row = queue(text="Streng vertraulich")
    assert "Streng vertraulich" in page(sign_in(agent).get(url("message", row)))
    response = sign_in(agent).get(url("raw", row))
    assert response.content == row.raw.__class__.objects.get(pk=row.raw_id).content_bytes
    assert response["Content-Disposition"] == f'attachment; filename="outgoing-{row.pk}.eml"'
    assert response["Content-Type"] == "application/octet-stream"
    assert not AuditEntry.objects.filter(action="outbound.raw_read").exists()
    assert "Streng vertraulich" not in page(sign_in(mail_administrator).get(url("message", row)))
    assert sign_in(mail_administrator).get(url("raw", row)).status_code == 403
    superuser = make_user(superuser=True)
    assert "Streng vertraulich" not in page(sign_in(superuser).get(url("message", row)))
    assert sign_in(superuser).get(url("raw", row)).status_code == 200
    assert AuditEntry.objects.get(action="outbound.raw_read").actor == superuser


def test_w16_the_dialogue_is_for_mail_administrators(queue, account, agent, mail_administrator, sign_in):
    row = queue(State.FAILED)
    DeliveryAttempt.objects.create(
        message=row, account=account, started_at=timezone.now(), finished_at=timezone.now(),
        outcome="delivery_permanent", reply_code=554, reply="5.7.1 No",
        transcript="C: EHLO erp.firma.example",
    )  # fmt: skip
    assert "EHLO" in page(sign_in(mail_administrator).get(url("message", row)))
    text = page(sign_in(agent).get(url("message", row)))
    assert "EHLO" not in text
    assert "554 5.7.1 No" in text


# -- one mail


def test_the_page_of_a_mail_tells_its_history(queue, account, agent, sign_in):
    row = queue(
        State.SENT, copy_state=CopyState.FAILED, copy_error="no-such-folder: Sent", subject="Angebot <AN-1>"
    )
    Recipient.objects.filter(message=row).update(state="accepted")
    for outcome, code in (("delivery_transient", 451), ("sent", 250)):
        DeliveryAttempt.objects.create(
            message=row, account=account, started_at=timezone.now(), finished_at=timezone.now(),
            outcome=outcome, reply_code=code, reply="2.0.0 Ok: queued as 7F",
        )  # fmt: skip
    text = page(sign_in(agent).get(url("message", row)))
    for expected in (
        "Angebot &lt;AN-1&gt;", "Zugestellt", "Eingereiht von agent1", "Vom Server angenommen",
        "Noch nicht angenommen",
        "250 2.0.0 Ok: queued as 7F", row.message_id, "no-such-folder: Sent", "Erneut kopieren",
    ):  # fmt: skip
        assert expected in text, expected


# -- actions


def test_cancel_asks_then_cancels(queue, agent, sign_in):
    row = queue()
    assert "wird nicht gesendet" in page(sign_in(agent).get(url("cancel", row)))
    row.refresh_from_db()
    assert row.state == State.QUEUED
    sign_in(agent).post(url("cancel", row))
    row.refresh_from_db()
    assert row.state == State.CANCELLED
    response = sign_in(agent).post(url("cancel", row))
    assert response.status_code == 422
    assert "wartet nicht mehr" in response.content.decode()


def test_send_again_queues_a_new_row(queue, agent, sign_in):
    row = queue(State.FAILED)
    sign_in(agent).post(url("send_again", row))
    again = OutgoingMessage.objects.get(replaces=row)
    assert (again.state, again.message_id) == (State.QUEUED, row.message_id)


def test_r24_send_again_of_an_uncertain_mail_asks_for_a_confirmation(queue, agent, sign_in):
    row = queue(State.UNCERTAIN)
    assert "doppelt" in page(sign_in(agent).get(url("send_again", row)))
    assert sign_in(agent).post(url("send_again", row)).status_code == 422
    assert not OutgoingMessage.objects.filter(replaces=row).exists()
    sign_in(agent).post(url("send_again", row), {"is_confirmed": "on"})
    assert OutgoingMessage.objects.filter(replaces=row).exists()


def test_send_again_through_another_account_only_through_one_the_user_may_use(
    queue, agent, make_account, owner, sign_in
):
    relay = make_account("relay@firma.example")
    from mailaccounts.models import MailAccount

    foreign = MailAccount.objects.get(email="jana@firma.example")
    row = queue(State.FAILED)
    assert sign_in(agent).post(url("send_again", row), {"account": foreign.pk}).status_code == 422
    sign_in(agent).post(url("send_again", row), {"account": relay.pk})
    assert OutgoingMessage.objects.get(replaces=row).account == relay


def test_arrived_and_done(queue, agent, sign_in):
    uncertain, failed = queue(State.UNCERTAIN), queue(State.FAILED)
    response = sign_in(agent).post(url("arrived", uncertain), {"next": LIST})
    assert response.url == LIST
    sign_in(agent).post(url("dismiss", failed))
    assert not OutgoingMessage.objects.needing_attention().exists()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_the_way_back_never_leaves_the_house(queue, agent, sign_in, target):
    row = queue(State.UNCERTAIN)
    assert sign_in(agent).post(url("arrived", row), {"next": target}).url == url("message", row)


def test_try_now_and_copy_again(queue, account, agent, sign_in):
    waiting = queue(next_attempt_at=timezone.now() + timedelta(hours=2))
    sign_in(agent).post(url("try_now", waiting))
    waiting.refresh_from_db()
    assert waiting.next_attempt_at <= timezone.now()
    sent = queue(State.SENT, copy_state=CopyState.FAILED)
    Recipient.objects.filter(message=sent).update(state="accepted")
    sign_in(agent).post(url("copy_again", sent))
    sent.refresh_from_db()
    assert sent.copy_state == CopyState.PENDING


def test_bulk_acts_on_each_and_says_what_it_could_not_do(queue, agent, sign_in):
    failed, uncertain, sent = queue(State.FAILED), queue(State.UNCERTAIN), queue(State.SENT)
    response = sign_in(agent).post(
        "/outbox/bulk/",
        {"action": "again", "pick": [failed.pk, uncertain.pk, sent.pk, "x", "9" * 30]},
        follow=True,
    )
    text = page(response)
    assert list(
        OutgoingMessage.objects.filter(replaces__isnull=False).values_list("replaces", flat=True)
    ) == [failed.pk]
    assert "Bestätigung" in text
    waiting = [queue(), queue()]
    sign_in(agent).post("/outbox/bulk/", {"action": "cancel", "pick": [row.pk for row in waiting]})
    assert OutgoingMessage.objects.filter(state=State.CANCELLED).count() == 2


@pytest.mark.parametrize("name", ["cancel", "try_now", "send_again", "arrived", "dismiss", "copy_again"])
def test_w5_a_get_changes_nothing(queue, agent, sign_in, name):
    row = queue(State.UNCERTAIN, copy_state=CopyState.FAILED)
    before = OutgoingMessage.objects.values().get(pk=row.pk)
    page(sign_in(agent).get(url(name, row)))
    assert OutgoingMessage.objects.values().get(pk=row.pk) == before
    assert OutgoingMessage.objects.count() == 1


def test_a_mail_links_to_what_it_belongs_to_as_far_as_the_user_may_see_it(
    queue, agent, mail_administrator, sign_in, monkeypatch
):
    """Rooms above take part by ``visible_to`` and ``get_absolute_url``; this one does not import them."""

    class Visible(QuerySet):
        def visible_to(self, user):
            return self.filter(ticket__in=Ticket.objects.visible_to(user))

    manager = Visible.as_manager()
    manager.model = TicketMessage
    monkeypatch.setattr(TicketMessage, "objects", manager)
    monkeypatch.setattr(TicketMessage, "get_absolute_url", lambda self: f"/t/{self.ticket_id}", raising=False)
    row, now = queue(), timezone.now()
    ticket = Ticket.objects.create(
        number="20261124-00042",
        queue=Queue.objects.create(name="Service"),
        created_at=now,
        last_message_at=now,
    )
    ticket.queue.agents.add(agent)
    TicketMessage.objects.create(ticket=ticket, kind="outgoing", at=now, outgoing=row)
    assert f'href="/t/{ticket.pk}"' in page(sign_in(agent).get(url("message", row)))
    assert f'href="/t/{ticket.pk}"' not in page(sign_in(mail_administrator).get(url("message", row)))
