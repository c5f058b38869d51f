"""20,000 damaged mails in every run; `make fuzz` does as many as one likes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from fuzz import checks, run
from fuzz.checks import Broken, check_value, examine
from fuzz.mutations import MUTATIONS, corpus, mutated

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def keep_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "OUTPUT", tmp_path)
    return tmp_path


def test_twenty_thousand_damaged_mails_are_read_or_refused():
    command = [sys.executable, "-m", "fuzz.run", "--runs", "20000", "--seed", "20261124", "--processes", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-5_000:]
    assert "20000 mails" in done.stdout


def test_a_mail_of_a_seed_is_always_the_same():
    originals = corpus()
    assert mutated(originals, seed=7, number=3) == mutated(originals, seed=7, number=3)
    assert len({mutated(originals, seed=7, number=number) for number in range(100)}) > 95
    assert mutated(originals, seed=8, number=3) != mutated(originals, seed=7, number=3)


def test_every_kind_of_damage_leaves_bytes():
    for number, mutation in enumerate(MUTATIONS):
        assert isinstance(mutation(Random(number), b""), bytes)
        assert isinstance(mutation(Random(number), corpus()[5]), bytes)


def test_a_finding_is_printed_with_its_seed_and_kept(monkeypatch, capsys, keep_nothing):
    def fail_sometimes(raw):
        if raw in wanted:
            raise ValueError("broken on purpose")
        return ""

    originals = corpus()
    wanted = {mutated(originals, seed=5, number=number) for number in (3, 8)}
    monkeypatch.setattr(run, "examine", fail_sometimes)
    tally = run.run(seed=5, runs=20, processes=2)
    run.report(tally, seed=5, seconds=1)
    assert tally.done == 20
    assert sorted(finding.number for finding in tally.findings) == [3, 8]
    assert {path.name for path in keep_nothing.iterdir()} == {"fuzz-5-3.eml", "fuzz-5-8.eml"}
    assert "seed 5, mail 3" in capsys.readouterr().out


def test_a_mail_that_takes_too_long_is_a_finding_and_the_rest_goes_on(monkeypatch, keep_nothing):
    slow = mutated(corpus(), seed=5, number=4)

    def hang(raw):
        while raw == slow:
            time.monotonic()
        return ""

    monkeypatch.setattr(run, "examine", hang)
    monkeypatch.setattr(run, "MAX_SECONDS", 0.2)
    tally = run.run(seed=5, runs=12, processes=1)
    assert tally.done == 12
    assert [(finding.number, finding.words) for finding in tally.findings] == [(4, "took more than 0.2 s")]


def test_a_mail_that_takes_much_memory_is_a_finding(monkeypatch):
    peaks = iter([0] * 5 + [run.MAX_GROWTH + 1] * 20)  # the fifth mail
    monkeypatch.setattr(run, "examine", lambda raw: "")
    monkeypatch.setattr(run, "peak_memory", lambda: next(peaks))
    tally = run.run(seed=5, runs=12, processes=1)
    assert [(finding.number, finding.words) for finding in tally.findings] == [(4, "took 256 MB")]


@pytest.mark.parametrize(
    ("value", "hint"),
    [("a\0", str), ("\udcff", str), (1, str), ([1], list[str]), (None, str), (b"", str | None)],
)
def test_what_the_database_would_refuse_is_a_finding(value, hint):
    with pytest.raises(Broken):
        check_value(value, hint, "value")


def test_an_active_element_is_a_finding(monkeypatch):
    monkeypatch.setattr(checks, "sanitize_html", lambda html: html)
    mail = b"From: a@b.example\nContent-Type: text/html\n\n<p onclick='x()'><script>x()</script>"
    with pytest.raises(Broken):
        examine(mail)
