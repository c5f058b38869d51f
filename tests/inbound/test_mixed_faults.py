"""R1 to R17 mixed at random, by fixed seeds: every mail ends exactly once, nothing of others is touched."""

import random

import pytest
from django.db import OperationalError

from inbound import pipeline
from jobs import leases
from tests.inbound.conftest import mail
from tests.server_proxy import Cut
from tickets.models import Ticket

ROUNDS = 6


@pytest.mark.parametrize("seed", range(12))
def test_i1_i3_hold_through_mixed_faults(make_station, imap_proxy, monkeypatch, seed):
    chance = random.Random(seed)
    station = make_station(port=imap_proxy.port)
    delivered: list[str] = []
    removed: set[str] = set()
    for number in range(ROUNDS):
        subjects = [f"R{seed}-{number}-{position}" for position in range(chance.randint(1, 4))]
        station.deliver(*[mail(subject) for subject in subjects])
        delivered += subjects
        with monkeypatch.context() as patch:
            removed |= _inject(chance, station, imap_proxy, patch)
            _poll_whatever_happens(station)
        imap_proxy.cut = None
    station.poll()
    imported = list(Ticket.objects.values_list("subject", flat=True))
    assert len(imported) == len(set(imported))  # nothing doubled
    assert set(delivered) - set(imported) <= removed  # nothing lost but what others took away before


def _poll_whatever_happens(station) -> None:
    try:
        station.poll_unchecked()
    except OperationalError:
        leases.revoke([station.account.lease_name])  # as its expiry would


def _inject(chance, station, proxy, patch) -> set[str]:
    """Prepare one fault; return the subjects of mails that a colleague removes."""
    kind = chance.choice(["cut", "cut", "drop", "renumber", "remove", "database", "fence"])
    if kind == "cut":
        proxy.cut = Cut(after=chance.randint(50, 6_000), times=1)
    elif kind == "drop":
        proxy.cut = Cut(
            pattern=chance.choice([rb"EXAMINE", rb"UID SEARCH", rb"UID FETCH"]), from_server=False, times=1
        )
    elif kind == "renumber":
        station.server.reset_uid_validity(station.user)
    elif kind == "remove":
        return _remove_first(station)
    elif kind == "database":
        patch.setattr(pipeline, "import_batch", _breaking(pipeline.import_batch))
    else:
        patch.setattr(pipeline, "judge", _fencing(pipeline.judge, station))
    return set()


def _remove_first(station) -> set[str]:
    with station.server.rival(station.user) as client:
        _, found = client.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()
    return {found[0][1].decode().removeprefix("Subject: ").strip()} if found[0] else set()


def _breaking(real):
    def import_batch(plan):
        real(plan)
        raise OperationalError("disk I/O error")

    return import_batch


def _fencing(real, station):
    def judge(visit, mails):
        leases.revoke([station.account.lease_name])
        return real(visit, mails)

    return judge
