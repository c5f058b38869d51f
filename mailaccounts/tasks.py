"""Background work of the room."""

from __future__ import annotations

from celery import shared_task

from mailaccounts import connection_tests, health, oauth_consent, probing


@shared_task(name="mailaccounts.run_connection_test")
def run_connection_test(test_uuid: str) -> None:
    """Run one test of settings; its row tells the page how it goes."""
    probing.run(test_uuid)


@shared_task(name="mailaccounts.forget_old_tests")
def forget_old_tests() -> None:
    """Drop tests, connection events and consents begun that nobody comes back to."""
    connection_tests.forget_old()
    oauth_consent.forget_old()
    health.forget_old_events()
