"""Health: backoff, pausing after refused logins (R32), and who is due."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from jobs import leases
from mailaccounts import connections, health, services
from mailaccounts.models import AccountHealth, ConnectionEvent, ImapSettings, MailAccount
from mailkit.errors import AuthenticationFailed, ConnectionTimeout, MailError
from tests.mailaccounts.conftest import imap_post

MINUTE = timedelta(minutes=1)


def _poll(account: MailAccount) -> None:
    """What a poll does as far as health is concerned."""
    try:
        with connections.open_imap(account):
            health.record_success(account.pk, next_poll_at=timezone.now() + MINUTE)
    except MailError as error:
        health.record_failure(account.pk, error)


def _poll_whenever_due(hours: int = 12) -> int:
    """Run a scheduler by a moved clock; return how many polls there were."""
    polls = 0
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(hours * 60):
            for account_id in health.due_account_ids(10):
                _poll(MailAccount.objects.select_related("imap").get(pk=account_id))
                polls += 1
            clock.shift(MINUTE)
    return polls


@pytest.fixture
def refused(make_account, dovecot, mailbox):
    """An account whose password Dovecot does not accept."""
    imap = {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "username": mailbox.username}
    return make_account(imap=imap, password="falsch")


@pytest.mark.servers
def test_r32_wrong_password_is_tried_three_times_and_then_rests(refused, dovecot, mailbox):
    assert _poll_whenever_due() == 3
    attempts = [
        line for line in dovecot.log().splitlines() if "auth failed" in line and mailbox.username in line
    ]
    assert len(attempts) == 3, dovecot.log()
    card = health.health_card(MailAccount.objects.select_related("imap", "health").get(pk=refused.pk))
    assert card.state == "paused"
    assert card.next_poll_at is None


@pytest.mark.servers
def test_r32_saving_the_right_password_polls_again(admin_client, refused, dovecot, mailbox):
    _poll_whenever_due(hours=2)
    assert health.due_account_ids(10) == []
    url = reverse("mailaccounts:section", args=[refused.pk, "imap"])
    assert admin_client.post(url, imap_post(refused, password=mailbox.password)).status_code == 302
    assert health.due_account_ids(10) == [refused.pk]
    _poll(MailAccount.objects.select_related("imap").get(pk=refused.pk))
    row = AccountHealth.objects.get(account=refused)
    assert (row.error_code, row.failing_since, row.login_failures) == ("", None, 0)


def test_r32_other_failures_in_between_do_not_give_new_attempts(make_account):
    account = make_account()
    for error in (AuthenticationFailed(), ConnectionTimeout(), AuthenticationFailed(), ConnectionTimeout()):
        health.record_failure(account.pk, error)
    assert not AccountHealth.objects.get(account=account).is_paused
    health.record_failure(account.pk, AuthenticationFailed())
    assert AccountHealth.objects.get(account=account).is_paused


@pytest.mark.parametrize("code", ["unavailable", "too-many-connections"])
def test_a_server_in_trouble_says_nothing_about_the_password(make_account, code):
    account = make_account()
    for _ in range(5):
        health.record_failure(account.pk, AuthenticationFailed(code=code))
    assert not AccountHealth.objects.get(account=account).is_paused


def test_an_erased_password_waits_for_a_person_at_once(make_account):
    account = make_account()
    services.store_imap_password(account.imap, "")
    account.imap.save()
    _poll(account)
    assert AccountHealth.objects.get(account=account).is_paused
    assert health.due_account_ids(10) == []


def test_failures_back_off_from_one_minute_to_fifteen_with_jitter():
    for failures, minutes in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 15), (6, 15), (500, 15)]:
        delays = {health.backoff(failures) for _ in range(50)}
        assert len(delays) > 1, "spread"
        assert all(0.8 * minutes <= delay / MINUTE <= 1.2 * minutes for delay in delays)


def test_due_accounts_leave_out_the_resting_and_prefer_the_waiting(make_account):
    never, late, later, future, paused, held, retired, sender = (
        make_account(imap=None if n == 7 else ()) for n in range(8)
    )
    now = timezone.now()
    for account, due in [
        (late, now - 9 * MINUTE),
        (later, now - MINUTE),
        (future, now + MINUTE),
        (paused, now),
    ]:
        AccountHealth.objects.create(account=account, next_poll_at=due, is_paused=account == paused)
    MailAccount.objects.filter(pk=held.pk).update(on_hold_since=now)
    MailAccount.objects.filter(pk=retired.pk).update(retired_at=now)
    assert health.due_account_ids(10) == [never.pk, late.pk, later.pk]
    assert health.due_account_ids(2) == [never.pk, late.pk]
    assert sender.pk not in health.due_account_ids(10)


def test_poll_all_leaves_the_paused_alone(make_account):
    resting, waiting = make_account(), make_account()
    for account in (resting, waiting):
        AccountHealth.objects.create(
            account=account, next_poll_at=timezone.now() + MINUTE, is_paused=account == resting
        )
    assert health.poll_soon() == 1
    assert health.due_account_ids(10) == [waiting.pk]


def test_r39_saving_settings_fences_off_the_running_poll(admin_client, make_account):
    account = make_account()
    held = leases.acquire(account.lease_name, ttl=MINUTE)
    url = reverse("mailaccounts:section", args=[account.pk, "imap"])
    admin_client.post(url, imap_post(account, folders="INBOX\nArchiv"))
    with pytest.raises(leases.LeaseLost):
        leases.renew(held)


def test_r39_saving_without_a_change_disturbs_nobody(admin_client, make_account):
    account = make_account()
    held = leases.acquire(account.lease_name, ttl=MINUTE)
    admin_client.post(reverse("mailaccounts:section", args=[account.pk, "imap"]), imap_post(account))
    leases.renew(held)


@pytest.mark.parametrize("action", ["retire", "hold", "delete"])
def test_r39_retiring_holding_and_deleting_fence_too(admin_client, make_account, action):
    account = make_account()
    held = leases.acquire(account.lease_name, ttl=MINUTE)
    admin_client.post(reverse(f"mailaccounts:{action}", args=[account.pk]))
    with pytest.raises(leases.LeaseLost):
        leases.renew(held)


def test_events_tell_failure_pause_and_recovery_once_each(make_account):
    account = make_account()
    for _ in range(3):
        health.record_failure(account.pk, AuthenticationFailed("NO"))
    for _ in range(2):
        health.record_success(
            account.pk, next_poll_at=timezone.now(), warning_code="no-uidplus-foreign-deleted"
        )
    kinds = list(account.connection_events.order_by("id").values_list("kind", flat=True))
    assert kinds == ["failed", "failed", "failed", "paused", "recovered", "warned"]


def test_only_the_last_fifty_events_of_each_account_are_kept(make_account):
    first, second = make_account(), make_account()
    for _ in range(53):
        health.record_failure(first.pk, ConnectionTimeout())
    health.record_failure(second.pk, ConnectionTimeout())
    newest = first.connection_events.first()
    assert health.forget_old_events() == 3
    assert ConnectionEvent.objects.filter(account=first).count() == 50
    assert ConnectionEvent.objects.filter(account=second).count() == 1
    assert first.connection_events.first() == newest


def test_card_of_each_state(make_account):
    account = make_account()

    def state() -> str:
        return health.health_card(
            MailAccount.objects.select_related("imap", "health").get(pk=account.pk)
        ).state

    assert state() == "waiting"
    health.record_success(account.pk, next_poll_at=timezone.now())
    assert state() == "ok"
    health.record_success(account.pk, next_poll_at=timezone.now(), backlog=7141)
    assert state() == "backlog"
    health.record_success(account.pk, next_poll_at=timezone.now(), warning_code="uid_validity_changed")
    assert state() == "warning"
    health.record_failure(account.pk, ConnectionTimeout())
    assert state() == "failing"
    MailAccount.objects.filter(pk=account.pk).update(on_hold_since=timezone.now())
    assert state() == "on_hold"
    MailAccount.objects.filter(pk=account.pk).update(retired_at=timezone.now())
    assert state() == "retired"
    ImapSettings.objects.filter(account=account).delete()
    MailAccount.objects.filter(pk=account.pk).update(retired_at=None, on_hold_since=None)
    assert state() == "send_only"
