"""Leases: one holder, fencing, revocation."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from jobs import leases
from jobs.models import Lease

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def test_r9_a_second_holder_is_turned_away():
    assert leases.acquire("account:1", ttl=MINUTE) is not None
    assert leases.acquire("account:1", ttl=MINUTE) is None


def test_a_released_lease_is_free_again():
    held = leases.acquire("account:1", ttl=MINUTE)
    leases.release(held)
    assert leases.acquire("account:1", ttl=MINUTE) is not None


def test_r10_a_holder_that_overslept_is_refused():
    stale = leases.acquire("account:1", ttl=MINUTE)
    Lease.objects.update(expires_at=Now() - MINUTE)
    fresh = leases.acquire("account:1", ttl=MINUTE)
    assert fresh.epoch > stale.epoch
    with pytest.raises(leases.LeaseLost), transaction.atomic():
        leases.renew(stale)
    leases.renew(fresh)
    leases.release(stale)  # the old holder can not give away what is no longer its own
    assert leases.acquire("account:1", ttl=MINUTE) is None


def test_an_expired_lease_nobody_took_can_still_be_renewed():
    held = leases.acquire("account:1", ttl=MINUTE)
    Lease.objects.update(expires_at=Now() - MINUTE)
    leases.renew(held)
    assert leases.acquire("account:1", ttl=MINUTE) is None


def test_r39_saving_settings_fences_off_the_running_holder():
    held = leases.acquire("account:1", ttl=MINUTE)
    leases.revoke(["account:1"])
    with pytest.raises(leases.LeaseLost):
        leases.renew(held)
