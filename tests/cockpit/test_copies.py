"""A copy is not the original (product §12): quiet until an administrator confirms."""

from __future__ import annotations

import pytest

from audit.models import AuditEntry
from jobs import instance

pytestmark = pytest.mark.django_db


@pytest.fixture
def copy(settings, original):
    """The database was last run by another installation."""
    settings.INSTANCE_NAME = "test-system"


def test_a_fresh_database_adopts_its_first_installation():
    assert instance.is_original()
    assert instance.confirmed_fingerprint() == instance.fingerprint()


def test_another_name_or_host_is_a_copy(settings, original):
    assert instance.is_original()
    settings.INSTANCE_NAME = "test-system"
    assert not instance.is_original()
    with pytest.raises(instance.UnconfirmedCopy):
        instance.require_original()


def test_every_page_says_that_the_copy_is_quiet(client, copy, mail_administrator):
    client.force_login(mail_administrator)
    assert b"/confirm-copy/" in client.get("/").content


def test_an_administrator_confirms_and_it_is_recorded(client, copy, mail_administrator):
    client.force_login(mail_administrator)
    assert client.get("/confirm-copy/").status_code == 200
    assert not instance.is_original()
    assert client.post("/confirm-copy/").status_code == 302
    assert instance.is_original()
    assert AuditEntry.objects.filter(action="instance.confirmed", actor=mail_administrator).count() == 1


def test_nobody_else_may_confirm(client, copy, agent):
    client.force_login(agent)
    assert client.get("/confirm-copy/").status_code == 403
    assert client.post("/confirm-copy/").status_code == 403
    assert not instance.is_original()
