"""Employees: linked to an address and a login, substituted for a while."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEntry
from masterdata.models import Address, Employee, Substitution
from masterdata.selectors import employees_acting_as


@pytest.fixture
def administrator(client, mail_administrator):
    client.force_login(mail_administrator)
    return client


@pytest.fixture
def jana(make_user):
    address = Address.objects.create(
        number="1", name="Jana Petersen", email="jana@brandis.example", is_employee=True
    )
    return Employee.objects.create(address=address, user=make_user(username="jana"))


@pytest.fixture
def tobias(make_user):
    address = Address.objects.create(number="2", name="Tobias Lindqvist", is_employee=True)
    return Employee.objects.create(address=address, user=make_user(username="tobias"))


def answer(rows=(), initial=0, **fields):
    data = {"rows-TOTAL_FORMS": len(rows), "rows-INITIAL_FORMS": initial} | fields
    for position, row in enumerate(rows):
        data |= {f"rows-{position}-{name}": value for name, value in row.items()}
    return data


def test_an_employee_is_made_of_an_address(administrator, make_user):
    address = Address.objects.create(number="1", name="Jana", is_employee=True)
    user = make_user(username="jana")
    administrator.post(reverse("masterdata:employee_create"), answer(address=address.pk, user=user.pk))
    employee = Employee.objects.get()
    assert (employee.address, employee.user) == (address, user)


def test_an_employee_can_bring_a_new_address(administrator):
    administrator.post(
        reverse("masterdata:employee_create"), answer(name="Jana Petersen", email="j@brandis.example")
    )
    address = Employee.objects.get().address
    assert (address.name, address.is_employee) == ("Jana Petersen", True)
    assert address.number


def test_neither_address_nor_name_saves_nothing(administrator):
    assert administrator.post(reverse("masterdata:employee_create"), answer()).status_code == 422
    assert not Address.objects.exists()


def test_an_address_without_the_role_is_not_offered(administrator):
    address = Address.objects.create(number="1", name="Customer")
    response = administrator.post(reverse("masterdata:employee_create"), answer(address=address.pk))
    assert response.status_code == 422


def test_preferring_the_own_address_needs_one(administrator):
    url = reverse("masterdata:employee_create")
    assert administrator.post(url, answer(name="Jana", prefer_own_email="on")).status_code == 422
    assert (
        administrator.post(url, answer(name="Jana", prefer_own_email="on", email="j@x.example")).status_code
        == 302
    )


def test_w2_the_address_of_an_employee_does_not_change(administrator, jana):
    other = Address.objects.create(number="9", name="Other", is_employee=True)
    url = reverse("masterdata:employee_edit", args=[jana.pk])
    administrator.post(url, answer(address=other.pk, user=jana.user_id, name="x"))
    jana.refresh_from_db()
    assert jana.address.name == "Jana Petersen"


def test_a_substitution_gives_access_on_its_days_only(administrator, jana, tobias):
    today = timezone.localdate()
    rows = [{"substitute": tobias.pk, "starts_on": today, "ends_on": today}]
    administrator.post(reverse("masterdata:employee_edit", args=[jana.pk]), answer(rows, user=jana.user_id))
    assert set(employees_acting_as(tobias.user)) == {jana, tobias}
    assert set(employees_acting_as(jana.user)) == {jana}
    Substitution.objects.update(starts_on=today - dt.timedelta(days=3), ends_on=today - dt.timedelta(days=1))
    assert set(employees_acting_as(tobias.user)) == {tobias}
    assert "substitutions" in AuditEntry.objects.latest("id").changes


@pytest.mark.parametrize(("starts", "ends"), [("2026-12-02", "2026-12-01"), ("", "2026-12-01"), ("x", "y")])
def test_a_substitution_needs_a_period(administrator, jana, tobias, starts, ends):
    rows = [{"substitute": tobias.pk, "starts_on": starts, "ends_on": ends}]
    response = administrator.post(reverse("masterdata:employee_edit", args=[jana.pk]), answer(rows))
    assert response.status_code == 422
    assert not Substitution.objects.exists()


def test_nobody_substitutes_themselves(administrator, jana):
    rows = [{"substitute": jana.pk, "starts_on": "2026-12-01", "ends_on": "2026-12-02"}]
    url = reverse("masterdata:employee_edit", args=[jana.pk])
    assert administrator.post(url, answer(rows)).status_code == 422


def test_deleting_an_employee_keeps_address_and_login(administrator, jana):
    user, address = jana.user, jana.address
    administrator.post(reverse("masterdata:employee_delete", args=[jana.pk]))
    user.refresh_from_db()
    address.refresh_from_db()
    assert not Employee.objects.exists()


def test_the_list_shows_who_stands_in_today(administrator, jana, tobias):
    today = timezone.localdate()
    Substitution.objects.create(employee=jana, substitute=tobias, starts_on=today, ends_on=today)
    text = administrator.get(reverse("masterdata:employee_list")).content.decode()
    assert text.count("Tobias Lindqvist") == 2
