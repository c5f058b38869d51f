"""Rows of what spans the rooms."""

from tests.web.matrix import ADMINISTRATORS, EVERYBODY, Row

ROWS = [
    Row("cockpit:start", EVERYBODY),
    # Nothing runs in the tests: monitoring hears so, without signing in.
    Row("cockpit:healthz", EVERYBODY, public=True, answer=503),
    Row("cockpit:confirm_copy", ADMINISTRATORS),
    Row("cockpit:confirm_copy", ADMINISTRATORS, method="post", answer=302),
]
