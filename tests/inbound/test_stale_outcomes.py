"""What a poll or a look came to under old settings never overwrites what is known since (R39)."""

from concurrent.futures import wait

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from inbound import checking, polling
from mailaccounts import health, services
from mailaccounts.models import AccountHealth, ConnectionEvent
from mailkit.errors import AuthenticationFailed


def _due(*stations) -> None:
    for station in stations:
        AccountHealth.objects.filter(account=station.account).update(next_poll_at=timezone.now())


def _refuse(_account):
    raise AuthenticationFailed("wrong password")


@pytest.mark.parametrize("fails", [True, False])
def test_r39_a_poll_that_ends_after_settings_were_saved_says_nothing_about_them(station, monkeypatch, fails):
    real = polling._visit_server

    def visit_then_save(visit):
        error = AuthenticationFailed("wrong password") if fails else real(visit)
        services.after_settings_change(station.account)
        return error

    monkeypatch.setattr(polling, "_visit_server", visit_then_save)
    assert station.poll_unchecked().error == "settings_changed"
    row = AccountHealth.objects.get(account=station.account)
    assert (row.login_failures, row.error_code, row.last_attempt_at) == (0, "", None)
    assert row.next_poll_at <= timezone.now()  # the new settings are tried at once
    assert not ConnectionEvent.objects.exists()


def test_r39_an_account_deleted_during_its_poll_ends_the_poll_quietly(
    make_station, monkeypatch, mail_administrator
):
    station = make_station()
    station.options.delete()

    def delete_then_fail(account):
        services.delete_account(account=station.account, by=mail_administrator)
        _refuse(account)

    monkeypatch.setattr(polling, "open_imap", delete_then_fail)
    monkeypatch.setattr(polling, "_mailboxes", lambda _visit: [])
    assert station.poll_unchecked().error == "settings_changed"


@pytest.mark.parametrize("result", [AuthenticationFailed("wrong password"), False])
def test_r39_a_look_that_ends_after_settings_were_saved_says_nothing_about_them(station, monkeypatch, result):
    station.poll()
    _due(station)
    before = AccountHealth.objects.get(account=station.account)

    real = checking._settle_all

    def save_then_settle(answers, on_news):
        if answers:
            services.after_settings_change(station.account)
        real([(look, result) for look, _ in answers], on_news)
        monkeypatch.setattr(checking, "_claim", lambda *_args: [])

    monkeypatch.setattr(checking, "_settle_all", save_then_settle)
    checking.check_due(lambda _account_id: None)
    row = AccountHealth.objects.get(account=station.account)
    assert (row.login_failures, row.error_code, row.last_attempt_at) == (0, "", before.last_attempt_at)
    assert row.next_poll_at <= timezone.now()


def test_r39_an_account_deleted_during_a_look_takes_no_other_along(
    make_station, monkeypatch, mail_administrator
):
    gone, stays = make_station(), make_station()
    gone.options.delete()
    stays.poll()
    _due(stays)
    monkeypatch.setattr(checking, "_has_unknown", lambda *_args: False)
    gone_pk, real = gone.account.pk, checking._settle_all

    def delete_then_settle(answers, on_news):
        services.delete_account(account=gone.account, by=mail_administrator)
        failed = AuthenticationFailed()
        real([(look, failed if look.account.pk == gone_pk else result) for look, result in answers], on_news)

    monkeypatch.setattr(checking, "_settle_all", delete_then_settle)
    monkeypatch.setattr(checking, "_answered", lambda asked: wait(asked).done)
    checking.check_due(lambda _account_id: None)
    assert AccountHealth.objects.get(account=stays.account).next_poll_at > timezone.now()
    assert not AccountHealth.objects.filter(account_id=gone_pk).exists()


def test_r39_an_account_deleted_while_it_is_claimed_takes_no_other_along(
    make_station, monkeypatch, mail_administrator
):
    gone, stays = make_station(), make_station()
    gone.options.delete()
    real = QuerySet.in_bulk

    def delete_then_read(rows, ids):
        services.delete_account(account=gone.account, by=mail_administrator)
        monkeypatch.undo()
        return real(rows, ids)

    monkeypatch.setattr(QuerySet, "in_bulk", delete_then_read)
    assert checking._claim() == [stays.account]


def test_r39_a_claim_overtaken_by_a_newer_poll_records_nothing(station):
    station.poll()
    claim = timezone.now()
    AccountHealth.objects.filter(account=station.account).update(next_poll_at=claim)
    newer = timezone.now()
    health.record_success(station.account.pk, next_poll_at=newer)
    health.record_failure(station.account.pk, AuthenticationFailed(), claim=claim)
    assert AccountHealth.objects.get(account=station.account).failures == 0
    health.record_failure(station.account.pk, AuthenticationFailed(), claim=newer)
    assert AccountHealth.objects.get(account=station.account).failures == 1
