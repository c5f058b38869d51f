"""Handing out scenarios, adding up, and the worker processes that can be stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from jobs import failpoints
from soak import run
from soak.outcomes import ImportOutcome, SendOutcome
from soak.run import Schedule, describe
from soak.worker import Circumstances, Worker


@pytest.fixture
def schedule():
    return Schedule(runs=20, seed=7, kinds=["imports", "sends"])


def test_the_kind_that_lags_behind_comes_first(schedule):
    assert schedule.next() == ("imports", 7)
    schedule.add("imports", 7, ImportOutcome(done=15))
    assert schedule.next() == ("sends", 7)
    schedule.add("sends", 7, SendOutcome(done=16))
    assert schedule.next() == ("imports", 8)
    schedule.add("imports", 8, ImportOutcome(done=5))
    assert schedule.next() == ("sends", 8)
    schedule.add("sends", 8, SendOutcome(done=4, uncertain=1, injected=2))
    assert schedule.next() is None
    assert schedule.holds
    line = "imports 20 lost 0 duplicated 0 foreign 0 · sends 20 lost 0 duplicated 0 uncertain 1 of 2"
    assert schedule.line() == line


def test_too_little_done_does_not_hold(schedule):
    schedule.add("imports", 7, ImportOutcome(done=20))
    assert not schedule.holds


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("imports", ImportOutcome(done=20, lost=1)),
        ("imports", ImportOutcome(done=20, duplicated=1)),
        ("imports", ImportOutcome(done=20, foreign=1)),
        ("imports", ImportOutcome(done=20, findings=("a row stays stored",))),
        ("sends", SendOutcome(done=20, lost=1)),
        ("sends", SendOutcome(done=20, duplicated=1)),
        ("sends", SendOutcome(done=20, uncertain=2, injected=1)),
    ],
)
def test_what_does_not_hold_is_printed_with_its_scenario(capsys, kind, outcome):
    schedule = Schedule(runs=20, seed=7, kinds=[kind])
    schedule.add(kind, 7, outcome)
    assert not schedule.holds
    assert describe(kind, 7, outcome) in capsys.readouterr().out
    assert f"--kind {kind} --only 7" in describe(kind, 7, outcome)


def test_a_run_that_finds_and_finds_comes_to_an_end(schedule):
    for number in range(20):
        assert schedule.next()
        schedule.add("imports", number, ImportOutcome(findings=("the scenario broke off",)))
    assert schedule.next() is None


HOST = """
import sys
for line in sys.stdin:
    if line == "imports 1\\n":
        sys.exit()
    print('{"done": 20, "faults": [], "findings": []}', flush=True)
"""


def test_a_run_whose_host_ends_over_a_scenario_fails_though_others_do_enough(monkeypatch):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    monkeypatch.setattr(run, "_host", lambda: subprocess.Popen([sys.executable, "-c", HOST], **pipes))
    monkeypatch.setattr(sys, "argv", ["run", "--kind", "imports", "--runs", "20", "--processes", "2"])
    with pytest.raises(RuntimeError, match="ended over imports 1"):
        run.main()


@pytest.fixture
def circumstances(tmp_path):
    return Circumstances(tmp_path / "log", "memory://", stops_at="here", times=2)


def _come_by(times: int) -> None:
    for _ in range(times):
        failpoints.reached("there")
        failpoints.reached("here")


@pytest.mark.django_db(transaction=True)
def test_r4_a_worker_stops_where_it_is_told_and_is_killed_there(circumstances):
    worker = Worker(lambda: _come_by(2), circumstances)
    assert worker.has_stopped()
    worker.kill()
    assert worker.code == -signal.SIGKILL
    with pytest.raises(ChildProcessError):
        os.waitpid(worker.pid, 0)


@pytest.mark.django_db(transaction=True)
def test_r10_a_worker_that_was_stopped_goes_on(circumstances):
    worker = Worker(lambda: _come_by(3), circumstances)
    assert worker.has_stopped()
    worker.resume()
    assert worker.join() == ""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_breaks_off_is_told(circumstances):
    worker = Worker(lambda: 1 // 0, circumstances)
    assert not worker.has_stopped()
    assert worker.join()
    assert "ZeroDivisionError" in circumstances.log.read_text()
