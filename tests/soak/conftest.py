"""Servers for the scenarios of this test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from soak.services import Services, open_services


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """All of them; the database is the tests', which others use, too."""
    with open_services(owns_database=False) as opened:
        yield opened
