"""Addresses: created, numbered, changed with their contact persons, recorded, deleted only when unused."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from audit.models import AuditEntry
from masterdata import timeline
from masterdata.models import Address, ContactPerson, Employee
from masterdata.timeline import TimelineEntry


@pytest.fixture
def clerk(client, make_user):
    client.force_login(make_user("staff", username="clerk"))
    return client


def answer(rows=(), initial=0, **fields):
    data = {
        "name": "Birke GmbH",
        "language": "de",
        "rows-TOTAL_FORMS": len(rows),
        "rows-INITIAL_FORMS": initial,
    } | fields
    for position, row in enumerate(rows):
        data |= {f"rows-{position}-{name}": value for name, value in row.items()}
    return data


def create(client, **fields):
    return client.post(reverse("masterdata:address_create"), answer(**fields))


def test_a_new_address_gets_a_number_of_its_own(clerk):
    assert create(clerk).status_code == 302
    assert create(clerk, name="Zweite").status_code == 302
    numbers = set(Address.objects.values_list("number", flat=True))
    assert len(numbers) == 2
    assert all(number.isdigit() for number in numbers)


def test_a_number_taken_by_hand_is_stepped_over(clerk):
    create(clerk)
    following = int(Address.objects.get().number) + 1
    create(clerk, name="By hand", number=str(following + 1))
    create(clerk, name="Automatic")
    assert Address.objects.values("number").distinct().count() == 3


def test_a_number_is_unique_and_stays(clerk):
    create(clerk, number="K-7")
    assert create(clerk, number="K-7").status_code == 422
    address = Address.objects.get()
    clerk.post(reverse("masterdata:address_edit", args=[address.pk]), answer(number="", name="Other"))
    address.refresh_from_db()
    assert (address.number, address.name) == ("K-7", "Other")


def test_contact_persons_are_saved_with_the_address(clerk):
    create(clerk, rows=[{"name": "Karl", "email": "karl@birke.example"}, {"name": ""}])
    address = Address.objects.get()
    person = ContactPerson.objects.get()
    assert (person.address, person.name) == (address, "Karl")
    rows = [{"id": person.pk, "name": "Karla", "DELETE": ""}, {"name": "Paul"}]
    clerk.post(reverse("masterdata:address_edit", args=[address.pk]), answer(rows, initial=1))
    assert sorted(ContactPerson.objects.values_list("name", flat=True)) == ["Karla", "Paul"]
    rows = [{"id": person.pk, "name": "Karla", "DELETE": "on"}]
    clerk.post(reverse("masterdata:address_edit", args=[address.pk]), answer(rows, initial=1))
    assert list(ContactPerson.objects.values_list("name", flat=True)) == ["Paul"]


def test_a_faulty_row_saves_nothing(clerk):
    response = create(clerk, rows=[{"name": "Karl", "email": "no address"}])
    assert response.status_code == 422
    assert not Address.objects.exists()
    field = HTMLParser(response.content).css_first('[name="rows-0-email"]')
    assert field.attributes["aria-invalid"] == "true"


def test_w2_a_contact_person_of_another_address_cannot_be_taken(clerk):
    mine = Address.objects.create(number="1", name="Mine")
    foreign = ContactPerson.objects.create(
        address=Address.objects.create(number="2", name="Theirs"), name="Karl"
    )
    rows = [{"id": foreign.pk, "name": "Stolen", "address": mine.pk}]
    clerk.post(reverse("masterdata:address_edit", args=[mine.pk]), answer(rows, initial=1))
    foreign.refresh_from_db()
    assert (foreign.name, foreign.address.name) == ("Karl", "Theirs")


def test_changes_are_recorded_old_and_new(clerk):
    create(clerk, rows=[{"name": "Karl"}], city="Celle")
    address = Address.objects.get()
    person = ContactPerson.objects.get()
    rows = [{"id": person.pk, "name": "Karla"}]
    clerk.post(reverse("masterdata:address_edit", args=[address.pk]), answer(rows, initial=1, city="Husum"))
    created, changed = AuditEntry.objects.order_by("id")
    assert (created.action, changed.action) == ("masterdata.address.created", "masterdata.address.changed")
    assert changed.changes == {"city": ["Celle", "Husum"], "contact_persons": [["Karl"], ["Karla"]]}
    assert (changed.actor_label, changed.ip) == ("clerk", "127.0.0.1")


def test_saving_without_a_change_records_nothing(clerk):
    create(clerk)
    address = Address.objects.get()
    clerk.post(reverse("masterdata:address_edit", args=[address.pk]), answer(number=address.number))
    assert AuditEntry.objects.count() == 1


def test_an_unused_address_is_deleted_after_confirmation(clerk):
    create(clerk)
    address = Address.objects.get()
    url = reverse("masterdata:address_delete", args=[address.pk])
    clerk.get(url)
    assert Address.objects.exists()
    assert clerk.post(url)["Location"] == reverse("masterdata:address_list")
    assert not Address.objects.exists()
    assert AuditEntry.objects.latest("id").action == "masterdata.address.deleted"


def test_an_address_in_use_stays_and_says_why(clerk):
    address = Address.objects.create(number="1", name="Jana", is_employee=True)
    Employee.objects.create(address=address)
    response = clerk.post(reverse("masterdata:address_delete", args=[address.pk]))
    assert response.status_code == 422
    assert "Mitarbeiter" in HTMLParser(response.content).css_first('[role="alert"]').text()
    assert Address.objects.exists()
    assert not AuditEntry.objects.exists()


def test_the_role_employee_stays_while_an_employee_hangs_on_it(clerk):
    address = Address.objects.create(number="1", name="Jana", is_employee=True)
    Employee.objects.create(address=address)
    response = clerk.post(reverse("masterdata:address_edit", args=[address.pk]), answer())
    assert response.status_code == 422


def test_the_timeline_merges_its_sources_newest_first(clerk, monkeypatch):
    now = timezone.now()

    def source(offset, title):
        return lambda _address, _user, limit: [
            TimelineEntry(at=now - dt.timedelta(hours=offset + n), title=f"{title} {n}") for n in range(limit)
        ]

    monkeypatch.setattr(timeline, "_sources", [source(0, "odd"), source(0.5, "even")])
    address = Address.objects.create(number="1", name="Birke")
    page = HTMLParser(clerk.get(reverse("masterdata:address_edit", args=[address.pk])).content)
    titles = [node.css_first("div").text() for node in page.css(".timeline > li")]
    assert len(titles) == 20
    assert titles[:4] == ["odd 0", "even 0", "odd 1", "even 1"]
