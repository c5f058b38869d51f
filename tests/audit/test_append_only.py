"""What was recorded stays as it was recorded."""

import pytest
from django.db import transaction

from audit import origin, services
from audit.models import AppendOnlyError, AuditEntry
from masterdata.models import Project


@pytest.fixture
def entry(db):
    return services.record(action="test", changes={"name": ["old", "new"]})


def test_w12_a_stored_entry_is_not_written_again(entry):
    entry.action = "forged"
    with pytest.raises(AppendOnlyError):
        entry.save()
    with pytest.raises(AppendOnlyError):
        AuditEntry.objects.get(pk=entry.pk).save(update_fields=["action"])
    assert AuditEntry.objects.get().action == "test"


def test_w12_a_stored_entry_is_not_deleted(entry):
    with pytest.raises(AppendOnlyError):
        entry.delete()
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    "attempt",
    [
        lambda entries, _row: entries.update(action="forged"),
        lambda entries, _row: entries.delete(),
        lambda entries, row: entries.bulk_update([row], ["action"]),
        lambda entries, _row: entries.filter(action="test").delete(),
        lambda entries, row: entries.update_or_create(pk=row.pk, defaults={"action": "forged"}),
    ],
)
def test_w12_no_query_changes_or_deletes_entries(entry, attempt):
    with pytest.raises(AppendOnlyError):
        attempt(AuditEntry.objects.all(), entry)
    assert AuditEntry.objects.get().action == "test"


def test_w12_the_name_stays_when_the_user_goes(make_user):
    user = make_user(username="jana")
    services.record(action="test", by=user)
    user.delete()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_label) == (None, "jana")


def test_w12_an_entry_tells_who_what_whence(make_user):
    user, project = make_user(username="jana"), Project.objects.create(name="Wartung", key="w")
    with origin.acting_from(origin.Origin(ip="192.0.2.7")):
        services.record(action="project.changed", obj=project, by=user, changes={"name": ["a", "Wartung"]})
    entry = AuditEntry.objects.get()
    assert (entry.actor_label, entry.ip, entry.object_type, entry.object_id, entry.object_label) == (
        "jana",
        "192.0.2.7",
        "masterdata.project",
        str(project.pk),
        "Wartung",
    )


def test_differences_reduce_secrets_to_the_fact():
    old, new = {"host": "a", "password": "x", "port": 1}, {"host": "b", "password": "y", "port": 1}
    found = services.differences(old, new, secrets={"password"})
    assert found == {"host": ["a", "b"], "password": services.SECRET}


def test_an_entry_falls_with_the_change_it_records(db):
    def change_and_fail():
        with transaction.atomic():
            services.record(action="test")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert AuditEntry.objects.count() == 0
