"""Commands for administrators."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs import instance, leases
from jobs.models import Instance
from mailkit.errors import ConnectionLost
from outbound import services, tasks, throttling
from outbound.models import DeliveryThrottle, OutgoingMessage
from tests.outbound.conftest import draft

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("original")]
State = OutgoingMessage.State


def output_of(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("address", "account", "because"),
    [
        ("service@firma.example", "Firma Service (service@firma.example)", "e-mail address"),
        ("kontakt@firma.example", "Firma Service (service@firma.example)", "sender address"),
        ("info@firma.example", "Firma Service (service@firma.example)", "lists the address"),
        ("jemand@firma.example", "Standard (haupt@firma.example)", "lists the domain"),
    ],
)
def test_explain_sender_names_account_and_rule(make_account, address, account, because):
    make_account(sender_address="kontakt@firma.example", further=("info@firma.example",), sent_folder="Sent")
    make_account("haupt@firma.example", display_name="Standard", further=("@firma.example",))
    output = output_of("explain_sender", address)
    assert f"transported by: {account}" in output
    assert because in output


def test_explain_sender_names_the_remedy_where_nobody_sends(make_account):
    make_account(smtp=False)
    with pytest.raises(CommandError, match=r"service@firma\.example"):
        output_of("explain_sender", "service@firma.example")


def test_r41_after_a_restore_nothing_unfinished_is_sent_by_itself(make_account, smtp_sink):
    account = make_account(port=smtp_sink.port)
    rows = [services.queue_message(draft=draft(), by=None) for _ in range(4)]
    for row, state in zip(rows, [State.QUEUED, State.SENDING, State.DOT_SENT, State.SENT], strict=True):
        OutgoingMessage.objects.filter(pk=row.pk).update(state=state)
    held = leases.acquire(account.sending_lease_name, ttl=timedelta(minutes=5))
    throttling.hold_off(account, ConnectionLost("gone"))
    assert "3 unfinished mails" in output_of("after_restore")
    states = list(OutgoingMessage.objects.order_by("pk").values_list("state", flat=True))
    assert states == [State.UNCERTAIN] * 3 + [State.SENT]
    with pytest.raises(leases.LeaseLost):
        leases.renew(held)
    assert not DeliveryThrottle.objects.exists()
    assert instance.restored_at() is not None
    output_of("deliver_once")
    assert smtp_sink.transactions == []
    assert "0 unfinished mails" in output_of("after_restore")


def test_deliver_once_for_one_account_leaves_the_others_alone(make_account, smtp_sink):
    one = make_account(port=smtp_sink.port)
    other = make_account("sales@firma.example", port=smtp_sink.port)
    for account in (one, other):
        services.queue_message(draft=draft(from_address=account.email), by=None)
    output_of("deliver_once", "--account", str(other.pk))
    assert [t.envelope_sender for t in smtp_sink.transactions] == ["sales@firma.example"]


def test_deliver_once_refuses_on_an_unconfirmed_copy(make_account):
    make_account()
    services.queue_message(draft=draft(), by=None)
    Instance.objects.update(fingerprint="elsewhere")
    with pytest.raises(CommandError, match="copy"):
        output_of("deliver_once")


def test_the_beat_tasks_wake_an_account_once_whatever_it_has_due(make_account, monkeypatch):
    account = make_account(sent_folder="Sent")
    make_account("off@firma.example")
    for _ in range(3):
        services.queue_message(draft=draft(), by=None)
    woken = []
    monkeypatch.setattr(tasks, "wake", lambda task, *ids: woken.append((task.name, *ids)))
    tasks.deliver_due()
    OutgoingMessage.objects.update(state=State.SENT, copy_next_attempt_at="2026-01-01T00:00Z")
    tasks.append_due()
    assert woken == [("outbound.deliver", account.pk), ("outbound.append_to_sent", account.pk)]
    Instance.objects.update(fingerprint="elsewhere")
    tasks.deliver_due()
    tasks.append_due()
    assert len(woken) == 2
