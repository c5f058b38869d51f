"""Basic settings, projects, the index of settings and the record of changes."""

import pytest
from django.urls import reverse
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from audit import services as audit
from audit.models import AuditEntry
from masterdata import roles
from masterdata.models import Company, Project
from masterdata.selectors import audit_entries_for


@pytest.fixture
def administrator(client, mail_administrator):
    client.force_login(mail_administrator)
    return client


def test_basic_settings_are_one_row(administrator):
    url = reverse("masterdata:company")
    for name in ("Brandis", "Brandis Fördertechnik"):
        administrator.post(url, {"name": name, "main_address": "info@brandis.example"})
    assert [company.name for company in Company.objects.all()] == ["Brandis Fördertechnik"]
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == [
        "masterdata.company.created",
        "masterdata.company.changed",
    ]


def test_w2_the_form_sets_its_own_fields_only(administrator):
    project = Project.objects.create(name="Wartung", key="w")
    everything = {field.name: "1" for field in Project._meta.concrete_fields}
    everything |= {"id": "77", "name": "Neu", "key": "n", "preferred_sender": "a@x.example"}
    administrator.post(reverse("masterdata:project_edit", args=[project.pk]), everything)
    assert Project.objects.values().get() == {
        "id": project.pk,
        "name": "Neu",
        "key": "n",
        "preferred_sender": "a@x.example",
        "is_active": True,
    }


def test_a_key_is_unique(administrator):
    Project.objects.create(name="Wartung", key="w")
    assert (
        administrator.post(reverse("masterdata:project_create"), {"name": "x", "key": "w"}).status_code == 422
    )


def links(client):
    page = HTMLParser(client.get(reverse("masterdata:settings")).content)
    return {node.attributes["href"] for node in page.css("main .rows a")}


def test_the_index_shows_what_the_role_may_open(client, make_user):
    client.force_login(make_user(roles.AUDITOR))
    assert links(client) == {reverse("masterdata:audit")}
    client.force_login(make_user(roles.MAIL_ADMINISTRATOR))
    assert reverse("masterdata:project_list") in links(client)
    assert reverse("masterdata:user_list") not in links(client)
    client.force_login(make_user(superuser=True))
    assert reverse("masterdata:user_list") in links(client)


@pytest.fixture
def entries(db, make_user):
    project = Project.objects.create(name="Wartung", key="w")
    audit.record(
        action="masterdata.project.changed",
        obj=project,
        by=make_user(username="jana"),
        changes={"name": ["a", "b"]},
    )
    audit.record(action="section.imap", obj=project, changes={"password": audit.SECRET})
    audit.record(action="mail.viewed", reason="canary: Kündigung", changes={})
    AuditEntry.objects.bulk_create(
        [AuditEntry(action="mail.viewed", object_type="tickets.ticketmessage", object_label="Kündigung")]
    )


def test_mail_administrators_read_entries_about_settings_only(client, make_user, entries):
    administrator, auditor = make_user(roles.MAIL_ADMINISTRATOR), make_user(roles.AUDITOR)
    assert audit_entries_for(auditor).count() == 4
    assert audit_entries_for(administrator).count() == 3
    assert audit_entries_for(make_user(roles.AGENT)).count() == 0
    client.force_login(administrator)
    assert "tickets.ticketmessage" not in client.get(reverse("masterdata:audit")).content.decode()


def test_the_record_is_filtered_by_object_and_actor(client, make_user, entries):
    client.force_login(make_user(roles.AUDITOR))
    url = reverse("masterdata:audit")

    def count(**query):
        return len(HTMLParser(client.get(url, query).content).css("tbody tr"))

    assert count() == 4
    assert count(object="masterdata.project") == 2
    assert count(actor="jana") == 1
    assert count(object="tickets.ticketmessage", actor="jana") == 0
    assert count(object="masterdata.project", id=str(Project.objects.get().pk)) == 2
    assert count(id="0") == 0
    assert count(q="wartung") == 2


def test_a_secret_reads_changed(client, make_user, entries):
    client.force_login(make_user(roles.AUDITOR))
    text = client.get(reverse("masterdata:audit"), {"q": "section.imap"}).content.decode()
    assert "geändert" in HTMLParser(text).css_first("tbody td:last-child").text()
