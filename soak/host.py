"""A process that runs scenarios one by one: reads ``imports 17`` a line, answers with the outcome as JSON.

Started by :mod:`soak.run` on a database of its own, which it migrates.
"""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

import django

django.setup()

from django.core.management import call_command  # noqa: E402  # the applications have to be set up first

from jobs import instance  # noqa: E402
from soak import database, imports, sends  # noqa: E402
from soak.outcomes import KINDS, Outcome  # noqa: E402
from soak.services import Services, open_services  # noqa: E402

SCENARIOS: Final[dict[str, Callable[[int, Services], Outcome]]] = {"imports": imports.run, "sends": sends.run}


def main() -> None:
    """Answer until there is nothing more to read."""
    faulthandler.register(signal.SIGUSR1)  # tells where it stands
    call_command("migrate", interactive=False, verbosity=0)
    instance.confirm(by="soak")
    database.make_commits_lasting()
    with open_services(owns_database=True) as services:
        for line in sys.stdin:
            kind, seed = line.split()
            sys.stdout.write(json.dumps(asdict(_outcome(kind, int(seed), services))) + "\n")
            sys.stdout.flush()


def _outcome(kind: str, seed: int, services: Services) -> Outcome:
    """What came of the scenario; one that breaks off proves nothing, which is a finding."""
    try:
        return SCENARIOS[kind](seed, services)
    except Exception:  # noqa: BLE001  # reported, with its seed, by whoever started us
        return KINDS[kind](findings=(f"the scenario broke off:\n{traceback.format_exc()}",))


if __name__ == "__main__":
    main()
