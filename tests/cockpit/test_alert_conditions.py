"""What becomes an alert, after how long, and when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cockpit.alerts.conditions import findings
from cockpit.alerts.wording import words_of
from cockpit.models import Alert
from jobs.models import Heartbeat, Instance
from mailaccounts.health import LARGE_BACKLOG
from mailaccounts.models import AccountHealth, OAuthToken
from mailkit.errors import AuthenticationFailed, ConnectionFailed
from outbound import throttling
from outbound.models import DeliveryThrottle, OutgoingMessage
from tests.cockpit.conftest import make_account, minutes, open_alerts, outgoing, quarantined, recover, trouble

pytestmark = pytest.mark.django_db

INFO = "info@firma.example"


def alert() -> Alert:
    return Alert.objects.get()


def test_a_paused_account_is_told_at_once(look):
    trouble(make_account(INFO), code="authentication_failed", age=minutes(1), paused=True)
    look(0)
    assert open_alerts() == [("polling", INFO)]
    assert alert().severity == Alert.Severity.CRITICAL


def test_a_passing_failure_is_not_told(look):
    info = make_account(INFO)
    trouble(info, age=minutes(1))
    look(0, 10, 28)
    recover(info)
    look(30, 40)
    assert not Alert.objects.exists()


def test_a_failure_of_half_an_hour_is_told_once_it_holds_for_two_minutes(look, settings):
    trouble(make_account(INFO), age=minutes(29))
    look(0)
    assert not Alert.objects.exists()
    look(1, 2)
    assert open_alerts() == []
    look(3)
    assert open_alerts() == [("polling", INFO)]


def test_the_half_hour_is_a_setting(look, settings):
    settings.ALERT_AFTER_MINUTES = 120
    trouble(make_account(INFO), age=minutes(100))
    look(0, 3)
    assert not Alert.objects.exists()


@pytest.mark.parametrize("state", ["on_hold_since", "retired_at"])
def test_what_a_person_stopped_alerts_nobody(look, state):
    info = make_account(INFO, **{state: timezone.now()})
    trouble(info, age=minutes(90), paused=True)
    DeliveryThrottle.objects.create(
        account=info, failing_since=timezone.now() - minutes(90), retry_at=timezone.now(), is_paused=True,
        settings_fingerprint=throttling.settings_fingerprint(info), error_code="x",
    )  # fmt: skip
    look(0, 6)
    assert open_alerts() == ([] if state == "retired_at" else [("sending", INFO)])


def test_an_account_that_no_poll_reaches_is_told_after_the_others_caught_up(look):
    info = make_account(INFO)
    AccountHealth.objects.update(last_success_at=timezone.now() - minutes(16))
    look(0, 4)
    assert open_alerts() == []
    look(5)
    assert open_alerts() == [("late", INFO)]
    AccountHealth.objects.filter(account=info).update(last_success_at=timezone.now() + minutes(6))
    look(6, 8)
    assert open_alerts() == []


def test_late_means_three_poll_periods(look):
    info = make_account(INFO)
    info.imap.poll_seconds = 3600
    info.imap.save()
    AccountHealth.objects.update(last_success_at=timezone.now() - timedelta(hours=2))
    look(0, 10)
    assert not Alert.objects.exists()


def test_an_account_that_was_never_polled_is_late_too(look):
    info = make_account(INFO)
    info.created_at = timezone.now() - minutes(20)
    info.save()
    AccountHealth.objects.update(last_success_at=None)
    look(0, 5)
    assert open_alerts() == [("late", INFO)]


def test_a_refused_smtp_login_is_told_until_the_settings_change(look):
    info = make_account(INFO)
    for _ in range(3):
        throttling.hold_off(info, AuthenticationFailed("no"))
    look(0)
    assert open_alerts() == [("sending", INFO)]
    info.smtp.username = "another"
    info.smtp.save()
    look(1, 3)
    assert open_alerts() == []


def connected(account, **fields) -> OAuthToken:
    now = timezone.now()
    values = {"refreshed_at": now, "expires_at": now + minutes(4), "consented_at": now} | fields
    return OAuthToken.objects.create(account=account, provider="google", identity=account.email, **values)


def test_r30_a_token_that_cannot_be_renewed_is_told_before_it_dies(look):
    info = make_account(INFO)
    token = connected(info, failing_since=timezone.now(), error_code="oauth_unavailable")
    look(0, 1)
    assert open_alerts() == []
    look(2)
    assert open_alerts() == [("token", INFO)]
    assert "Anmeldedienst" in words_of(alert()).title
    assert "Bis dahin" in words_of(alert()).cause
    OAuthToken.objects.filter(pk=token.pk).update(failing_since=None, error_code="")
    look(3, 5)
    assert open_alerts() == []


def test_r30_a_consent_for_a_limited_time_is_told_two_days_before_its_end(look):
    token = connected(make_account(INFO), consent_ends_at=timezone.now() + timedelta(days=2, hours=1))
    look(0)
    assert not Alert.objects.exists()
    OAuthToken.objects.filter(pk=token.pk).update(consent_ends_at=timezone.now() + timedelta(days=1))
    look(1)
    assert open_alerts() == [("token", INFO)]
    assert alert().params["code"] == "oauth_consent_ends"


def test_r30_an_ended_consent_is_the_accounts_trouble_not_the_tokens(look):
    info = make_account(INFO)
    ended = timezone.now()
    connected(info, state="reconnect", failing_since=ended, consent_ends_at=ended)
    trouble(info, code="oauth_reconnect_needed", age=minutes(1), paused=True)
    look(0, 3)
    assert open_alerts() == [("polling", INFO)]


def test_a_dead_smtp_server_matters_only_while_mail_waits_for_it(look):
    info = make_account(INFO)
    throttling.hold_off(info, ConnectionFailed("no"))
    DeliveryThrottle.objects.update(failing_since=timezone.now() - minutes(31))
    look(0)
    assert open_alerts() == []
    outgoing(info)
    look(1)
    assert open_alerts() == [("sending", INFO)]


def test_mail_that_waits_for_long_is_told_scheduled_mail_is_not(look):
    info = make_account(INFO)
    late, soon = timezone.now() - minutes(31), timezone.now() + timedelta(hours=5)
    waiting = outgoing(info, give_up_at=late + timedelta(days=5))
    outgoing(info, next_attempt_at=soon, give_up_at=soon + timedelta(days=5))
    look(0, 2)
    assert open_alerts() == [("undelivered", INFO)]
    assert (alert().params["count"], alert().since) == (1, late)
    OutgoingMessage.objects.filter(pk=waiting.pk).update(state="sent")
    look(3, 5)
    assert open_alerts() == []


def test_an_automatic_answer_is_given_up_sooner_and_late_as_soon(look):
    late = timezone.now() - minutes(31)
    outgoing(make_account(INFO), purpose="auto_reply", give_up_at=late + timedelta(days=1))
    look(0, 2)
    assert open_alerts() == [("undelivered", INFO)]
    assert alert().since == late


def test_mail_that_waits_for_a_server_that_is_away_is_one_alert(look):
    info, late = make_account(INFO), timezone.now() - minutes(31)
    throttling.hold_off(info, ConnectionFailed("no"))
    DeliveryThrottle.objects.update(failing_since=late)
    outgoing(info, give_up_at=late + timedelta(days=5))
    look(0, 3)
    assert open_alerts() == [("sending", INFO)]


@pytest.mark.parametrize("state", ["failed", "uncertain"])
def test_mail_that_needs_a_decision_is_told_after_five_minutes_until_it_is_made(look, state):
    mail = outgoing(make_account(INFO), state=state, finished_at=timezone.now())
    look(0, 4)
    assert open_alerts() == []
    look(5)
    assert open_alerts() == [("unsettled", INFO)]
    OutgoingMessage.objects.filter(pk=mail.pk).update(settled_at=timezone.now())
    look(6, 8)
    assert open_alerts() == []


def test_mail_that_another_account_carried_is_its_senders_to_decide(look):
    carrier = make_account("zentrale@firma.example")
    outgoing(carrier, from_account=make_account(INFO), state="failed", finished_at=timezone.now())
    look(0, 5)
    assert open_alerts() == [("unsettled", INFO)]


def test_quarantine_is_told_after_an_hour(look):
    info = make_account(INFO)
    quarantined(info, age=minutes(59))
    look(0)
    assert open_alerts() == []
    look(2)
    assert open_alerts() == [("quarantine", INFO)]


def test_a_backlog_is_shown_after_an_hour_as_a_note(look):
    make_account(INFO)
    AccountHealth.objects.update(backlog=LARGE_BACKLOG)
    look(0, 59)
    assert open_alerts() == []
    look(60)
    assert open_alerts() == [("backlog", INFO)]
    assert alert().severity == Alert.Severity.NOTICE


def test_a_backlog_of_an_account_that_fails_is_no_second_alert(look):
    info = make_account(INFO)
    info.health.backlog = LARGE_BACKLOG
    trouble(info, age=minutes(40))
    look(0, 60)
    assert open_alerts() == [("polling", INFO)]


def test_a_silent_watcher_is_told_one_taken_out_of_service_is_not(look):
    Heartbeat.objects.create(name="watcher", at=timezone.now() - minutes(2))
    look(0)
    assert open_alerts() == []
    look(2, 4)
    assert open_alerts() == [("watcher", "")]
    look(60 * 24 * 8, 60 * 24 * 8 + 2)
    assert open_alerts() == []


def test_an_unconfirmed_copy_looks_for_nothing_and_mails_nobody(look):
    trouble(make_account(INFO), age=minutes(40), paused=True)
    Instance.objects.update(fingerprint="elsewhere")
    look(0, 1)
    assert not Alert.objects.exists()


def test_trouble_that_returns_within_two_minutes_was_never_over(look):
    info = make_account(INFO)
    trouble(info, age=minutes(40), paused=True)
    look(0)
    recover(info)
    look(1)
    trouble(info, age=minutes(1), paused=True)
    look(2, 3, 4)
    assert open_alerts() == [("polling", INFO)]
    assert Alert.objects.count() == 1


def test_trouble_after_the_all_clear_is_a_new_alert(look):
    info = make_account(INFO)
    trouble(info, age=minutes(40), paused=True)
    look(0)
    recover(info)
    look(1, 3)
    trouble(info, age=minutes(1), paused=True)
    look(4)
    assert Alert.objects.count() == 2
    assert open_alerts() == [("polling", INFO)]


@pytest.mark.parametrize("with_account", [True, False])
def test_there_is_one_unclosed_alert_of_a_kind_and_account(original, with_account):
    now = timezone.now()
    fields = {
        "kind": "polling", "account": make_account(INFO) if with_account else None, "severity": 2,
        "since": now, "first_seen_at": now, "last_seen_at": now,
    }  # fmt: skip
    Alert.objects.create(**fields, closed_at=now)
    Alert.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alert.objects.create(**fields)


def test_looking_costs_the_same_with_few_and_many_accounts(original):
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            findings(timezone.now())
        return len(captured)

    trouble(make_account(INFO), age=minutes(40))
    few = cost()
    for number in range(10):
        account = make_account(f"a{number}@firma.example")
        trouble(account, age=minutes(40))
        account.imap.authentication = "oauth"
        account.imap.save()
        connected(account)
        throttling.hold_off(account, AuthenticationFailed("no"))
        outgoing(account, state="failed", finished_at=timezone.now())
    assert cost() == few
