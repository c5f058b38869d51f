"""Rows of what spans the rooms."""

from django.utils import timezone

from cockpit.models import Alert
from tests.web.matrix import ADMINISTRATORS, EVERYBODY, Row, World

SEE_ALERTS = ("owner", *ADMINISTRATORS)


def prepare(world: World) -> None:
    """An alert of the company's account, and one of the owner's."""
    now = timezone.now()
    for name in ("account", "own account"):
        world.things[f"alert of {name}"] = Alert.objects.create(
            kind=Alert.Kind.POLLING,
            account=world[name],
            severity=Alert.Severity.CRITICAL,
            params={"reason": "paused", "code": "authentication_failed"},
            since=now,
            first_seen_at=now,
            last_seen_at=now,
            opened_at=now,
        )


def _alert_of(name: str):
    return lambda world: [world[f"alert of {name}"].pk]


def _unknown(_world: World) -> list[int]:
    return [999_999]


ROWS = [
    Row("cockpit:start", EVERYBODY),
    # Nothing runs in the tests: monitoring hears so, without signing in.
    Row("cockpit:healthz", EVERYBODY, public=True, answer=503),
    # There is no such page without METRICS_TOKEN; with it, roles count for nothing.
    Row("cockpit:metrics", EVERYBODY, public=True, answer=404),
    Row("cockpit:alerts", SEE_ALERTS),
    Row("cockpit:alerts", SEE_ALERTS, query="?format=csv", case="csv"),
    Row("cockpit:alerts", SEE_ALERTS, query="?state=over&account=1&q=a", case="filtered"),
    Row(
        "cockpit:acknowledge_alert",
        ADMINISTRATORS,
        args=_alert_of("account"),
        missing=("owner",),
        method="post",
        answer=302,
    ),
    Row(
        "cockpit:acknowledge_alert",
        SEE_ALERTS,
        args=_alert_of("own account"),
        method="post",
        answer=302,
        case="own",
    ),
    Row("cockpit:acknowledge_alert", (), args=_unknown, missing=SEE_ALERTS, method="post", case="unknown"),
    Row("cockpit:confirm_copy", ADMINISTRATORS),
    Row("cockpit:confirm_copy", ADMINISTRATORS, method="post", answer=302),
]
