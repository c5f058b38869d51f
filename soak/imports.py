"""One import scenario: an account, rounds of mail and faults, then peace, then what must hold."""

from __future__ import annotations

from soak.outcomes import ImportOutcome
from soak.services import Services


def run(seed: int, services: Services) -> ImportOutcome:
    """Run the scenario ``seed``."""
    raise NotImplementedError(seed, services)
