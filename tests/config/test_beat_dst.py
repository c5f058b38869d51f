"""Beat goes on as if nothing were when clocks change (R35; celery#6438, celery#1604)."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from celery.beat import PersistentScheduler, Scheduler
from celery.schedules import schedule

from config.celery import app

CHANGES = ["2026-10-25T01:00+00:00", "2027-03-28T01:00+00:00"]


@pytest.fixture(params=["UTC", "Europe/Berlin"])
def machine_time_zone(request, monkeypatch):
    """The zone of the machine that runs beat."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=[Scheduler, PersistentScheduler])
def make_scheduler(request, tmp_path):
    """The one-process server's beat, and the one of ``celery beat``."""
    file = str(tmp_path / "schedule")
    return lambda: request.param(app=app, max_interval=5, schedule_filename=file)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.usefixtures("machine_time_zone")
def test_r35_every_task_keeps_its_rhythm_while_clocks_change(make_scheduler, monkeypatch, change):
    begin = datetime.fromisoformat(change) - timedelta(minutes=40)
    sent: dict[str, list[float]] = {}

    def note(_self, entry, **_options):
        sent.setdefault(entry.name, []).append(time.time())

    monkeypatch.setattr(Scheduler, "apply_async", note)
    with time_machine.travel(begin, tick=False) as clock:
        beat = make_scheduler()
        while datetime.now(UTC) < begin + timedelta(minutes=80):
            clock.shift(max(beat.tick(), 0.01))
        regular = {name: entry.schedule for name, entry in beat.schedule.items()}
        beat.close()
    for name, rhythm in regular.items():
        if type(rhythm) is schedule:  # not at a time of day
            _check(sent[name], rhythm.seconds)


def _check(moments: list[float], seconds: float) -> None:
    """One task: eighty minutes long, no gap, no flood."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert len(moments) >= 4800 / seconds - 2
    assert min(gaps, default=seconds) >= seconds - 0.1
    assert max(gaps, default=seconds) <= seconds + 5
