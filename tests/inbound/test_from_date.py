""" "Ab Datum": Berlin days of INTERNALDATE, compared here (R20), and what moving the date back brings."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from inbound import exclusion
from inbound.models import IncomingMessage
from tests.inbound.conftest import State, mail
from tickets.models import Ticket, TicketOptions

DAY = date(2026, 10, 25)


@pytest.mark.parametrize(
    ("arrived", "imported"),
    [
        (datetime(2026, 10, 24, 21, 59, 59, tzinfo=UTC), False),  # 23:59:59 in Berlin, summer time
        (datetime(2026, 10, 24, 22, 0, 0, tzinfo=UTC), True),  # 00:00
        (datetime(2026, 10, 25, 12, 0, 0, tzinfo=timezone(timedelta(hours=14))), True),  # 24 Oct 22:00 UTC
        (datetime(2026, 10, 25, 11, 59, 0, tzinfo=timezone(timedelta(hours=14))), False),
        (datetime(2026, 10, 24, 10, 0, 0, tzinfo=timezone(timedelta(hours=-12))), True),
        (datetime(2026, 10, 24, 9, 59, 0, tzinfo=timezone(timedelta(hours=-12))), False),
        (datetime(2026, 10, 25, 23, 30, 0, tzinfo=UTC), True),
    ],
)
def test_r20_the_day_is_berlins_whatever_zone_the_server_writes(station, arrived, imported):
    station.change(from_date=DAY)
    station.deliver(mail("Grenzfall"), at=arrived)
    report = station.poll()
    assert (report.imported, report.excluded) == ((1, 0) if imported else (0, 1))


def test_r19_excluded_mail_costs_no_bytes(station):
    station.change(from_date=DAY)
    station.deliver(*[mail() for _ in range(5)], at=datetime(2020, 1, 1, tzinfo=UTC))
    station.deliver(mail("Neu"))
    report = station.poll()
    assert (report.excluded, report.imported) == (5, 1)
    excluded = station.rows().filter(state=State.EXCLUDED)
    assert not excluded.filter(raw__isnull=False).exists()
    assert set(excluded.values_list("reason", flat=True)) == {"before-from-date"}


def test_moving_the_date_back_counts_and_then_brings_what_was_excluded(station):
    station.change(from_date=DAY)
    for day in (10, 15, 20):
        station.deliver(mail(f"Vom {day}."), at=datetime(2026, 10, day, 12, tzinfo=UTC))
    station.poll()
    assert exclusion.count_reopenable(station.account, date(2026, 10, 15)) == 2
    station.change(from_date=date(2026, 10, 15))
    assert exclusion.reopen_excluded(station.account, date(2026, 10, 15)) == 2
    assert station.poll().imported == 2
    assert sorted(Ticket.objects.values_list("subject", flat=True)) == ["Vom 15.", "Vom 20."]


def test_mail_of_the_time_the_ticket_system_was_off_comes_with_an_earlier_date(station):
    station.change(is_enabled=False)
    station.deliver(mail("Gestern"), at=datetime(2026, 10, 24, 12, tzinfo=UTC))
    station.deliver(mail("Heute"), at=datetime(2026, 10, 25, 12, tzinfo=UTC))
    station.poll()
    station.change(is_enabled=True, from_date=DAY)
    assert exclusion.reopen_excluded(station.account, DAY) == 1
    assert station.poll().imported == 1
    assert Ticket.objects.get().subject == "Heute"


def test_a_date_moved_forward_meanwhile_excludes_what_was_not_fetched_yet(station, monkeypatch):
    station.deliver(mail("Alt"), at=datetime(2026, 10, 20, 12, tzinfo=UTC))
    monkeypatch.setattr("inbound.polling._fetch_seen", lambda *_args: None)
    station.poll()
    assert station.states() == [State.SEEN]
    monkeypatch.undo()
    station.change(from_date=DAY)
    assert station.poll().excluded == 1


def test_switched_off_between_storing_and_importing(station, monkeypatch):
    station.deliver(mail("Eins"))
    monkeypatch.setattr("inbound.pipeline.process", lambda *_args: None)
    station.poll_unchecked()
    assert station.states() == [State.STORED]
    monkeypatch.undo()
    station.change(is_enabled=False)
    station.poll()
    assert station.states() == [State.EXCLUDED]


def test_an_account_without_ticket_options_excludes_by_name(station):
    TicketOptions.objects.all().delete()
    station.deliver(mail("Eins"))
    assert station.poll().excluded == 1
    assert IncomingMessage.objects.get().reason == "ticket-system-off"
