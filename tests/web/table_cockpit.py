"""Rows of what spans the rooms."""

from tests.web.matrix import ADMINISTRATORS, EVERYBODY, Row

ROWS = [
    Row("cockpit:start", EVERYBODY),
    # Nothing runs in the tests: monitoring hears so, without signing in.
    Row("cockpit:healthz", EVERYBODY, public=True, answer=503),
    # There is no such page without METRICS_TOKEN; with it, roles count for nothing.
    Row("cockpit:metrics", EVERYBODY, public=True, answer=404),
    Row("cockpit:confirm_copy", ADMINISTRATORS),
    Row("cockpit:confirm_copy", ADMINISTRATORS, method="post", answer=302),
]
