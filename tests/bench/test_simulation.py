"""The model of docs/scaling.md: it keeps the product's order, and one account's trouble is nobody else's."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bench import simulation
from bench.simulation import LAG_BUDGET, dead, outage, simulate, slow, storm
from bench.simulation_model import Account, World
from inbound import checking
from mailaccounts.models import AccountHealth, ImapSettings, MailAccount

COSTS = simulation.unit_costs()


@pytest.fixture(scope="module")
def calm():
    """A hundred accounts that nothing is wrong with."""
    return simulate(100, 4, COSTS)


def test_p95_of_a_hundred_accounts_keeps_its_budget(calm):
    assert 30 < calm.p95 <= LAG_BUDGET
    assert calm.waiting < 100  # mail that arrived since the last poll, no more


@pytest.mark.parametrize("disturb", [storm(), dead(0), slow(0.05), outage(0.5, 10)])
def test_r12_r22_disturbances_delay_the_others_at_most_twice(calm, disturb):
    assert simulate(100, 4, COSTS, disturb).p95 <= 2 * calm.p95


def test_too_few_workers_are_noticed():
    assert simulate(2_000, 1, COSTS, slow(0.2)).p95 > LAG_BUDGET


def test_a_seed_repeats_itself():
    assert simulate(50, 2, COSTS, dead(0.1), seed=7) == simulate(50, 2, COSTS, dead(0.1), seed=7)
    assert simulate(50, 2, COSTS, seed=7) != simulate(50, 2, COSTS, seed=8)


@pytest.mark.parametrize("failing", [False, True])
def test_the_model_claims_what_the_product_claims_in_its_order(db, failing):
    now = timezone.now()
    accounts = []
    for number in range(40):
        row = MailAccount.objects.create(display_name=f"A{number}", email=f"a{number}@firma.example")
        ImapSettings.objects.create(account=row, host="localhost", username="a", folders=["INBOX"])
        due, seen, fails = number * 7 % 40 - 30, number * 11 % 40, number % 3 == 0
        AccountHealth.objects.create(
            account=row,
            next_poll_at=now + timedelta(seconds=due),
            last_attempt_at=now - timedelta(seconds=100 - seen),
            failing_since=now if fails else None,
        )
        accounts.append(Account(number, last_attempt_at=seen - 100, failures=int(fails)))
    world = World(accounts, COSTS, workers=1)
    world.schedule(number * 7 % 40 - 30 for number in range(40))
    numbers = [int(row.display_name[1:]) for row in checking._claim(8, failing)]
    assert [account.number for account in world.claim(8, failing=failing)] == numbers
