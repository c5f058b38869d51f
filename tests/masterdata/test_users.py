"""Users: made by superusers, with roles; passwords are set, never shown."""

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from audit.models import AuditEntry
from masterdata import roles
from masterdata.models import Address, Employee

SECRET = "canary-secret-4711"  # looked for in pages


@pytest.fixture
def root(make_user):
    return make_user(superuser=True, username="root")


@pytest.fixture
def superuser(client, root):
    client.force_login(root)
    return client


@pytest.fixture
def employee(db):
    return Employee.objects.create(
        address=Address.objects.create(number="1", name="Jana P.", is_employee=True)
    )


def group(name):
    return Group.objects.get_or_create(name=name)[0]


def answer(**fields):
    base = {
        "username": "jana",
        "email": "jana@x.example",
        "is_active": "on",
        "new_password": SECRET,
        "repeated": SECRET,
    }
    return base | fields


def create(client, **fields):
    return client.post(reverse("masterdata:user_create"), answer(**fields))


def test_a_user_is_created_with_roles_employee_and_hashed_password(superuser, employee):
    assert create(superuser, groups=[group(roles.AGENT).pk], employee=employee.pk).status_code == 302
    user = User.objects.get(username="jana")
    assert user.check_password(SECRET)
    assert SECRET not in user.password
    assert roles.is_agent(user)
    employee.refresh_from_db()
    assert employee.user == user


@pytest.mark.parametrize(
    "fields",
    [
        {"new_password": "short", "repeated": "short"},
        {"repeated": "something-else-77"},
        {"new_password": "password1234", "repeated": "password1234"},
        {"new_password": "", "repeated": ""},
        {"username": "janapetersen99", "new_password": "janapetersen99", "repeated": "janapetersen99"},
    ],
)
def test_weak_passwords_are_refused(superuser, fields):
    assert create(superuser, **fields).status_code == 422
    assert not User.objects.filter(username__startswith="jana").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "ROOT"},
        {"email": "Root@ERP.example"},
        {"username": "root@erp.example"},
        {"email": "root@erp.example"},
    ],
)
def test_a_login_name_belongs_to_one_user(superuser, fields):
    assert create(superuser, **fields).status_code == 422


def test_w3_no_page_shows_a_password_or_its_hash(superuser, root):
    response = create(superuser, username="")
    pages = [response.content, superuser.get(reverse("masterdata:user_edit", args=[root.pk])).content]
    pages += [superuser.get(reverse("masterdata:user_password", args=[root.pk])).content]
    root.refresh_from_db()
    for page in pages:
        assert SECRET.encode() not in page
        assert root.password.encode() not in page
    create(superuser)
    assert SECRET not in str(list(AuditEntry.objects.values()))


def test_roles_are_changed_and_recorded(superuser, make_user):
    user = make_user(roles.STAFF, username="petra")
    data = {"username": "petra", "email": "", "is_active": "on", "groups": [group(roles.AUDITOR).pk]}
    superuser.post(reverse("masterdata:user_edit", args=[user.pk]), data)
    entry = AuditEntry.objects.latest("id")
    assert entry.action == "auth.user.changed"
    assert entry.changes["roles"] == [["staff"], ["auditor"]]


def test_w2_fields_outside_the_form_do_not_change(superuser, make_user):
    user = make_user(roles.STAFF, username="petra")
    before = User.objects.values().get(pk=user.pk)
    everything = {field.name: "1" for field in User._meta.get_fields() if field.concrete}
    everything |= {
        "username": "petra",
        "email": "",
        "is_active": "on",
        "user_permissions": ["1"],
        "date_joined": "2000-01-01",
    }
    everything |= {
        "groups": [group(roles.STAFF).pk],
        "first_name": "",
        "last_name": "",
        "password": "x",
        "id": "99",
    }
    everything.pop("is_superuser")
    superuser.post(reverse("masterdata:user_edit", args=[user.pk]), everything)
    after = User.objects.values().get(pk=user.pk)
    assert after == before | {"email": ""}
    assert not user.user_permissions.exists()


def test_superusers_do_not_lock_themselves_out(superuser, root):
    for missing in ("is_active", "is_superuser"):
        data = {"username": "root", "email": "", "is_active": "on", "is_superuser": "on"}
        data.pop(missing)
        assert superuser.post(reverse("masterdata:user_edit", args=[root.pk]), data).status_code == 422
    root.refresh_from_db()
    assert root.is_active
    assert root.is_superuser


def test_a_new_password_is_set_and_recorded_as_a_fact(superuser, make_user):
    user = make_user(roles.STAFF, username="petra")
    url = reverse("masterdata:user_password", args=[user.pk])
    assert superuser.post(url, {"new_password": SECRET, "repeated": "other"}).status_code == 422
    assert superuser.post(url, {"new_password": SECRET, "repeated": SECRET}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(SECRET)
    assert AuditEntry.objects.latest("id").changes == {"password": "changed"}


def test_an_employee_moves_from_one_login_to_another(superuser, make_user, employee):
    first, second = make_user(username="first"), make_user(username="second")
    for user in (first, second):
        Employee.objects.filter(pk=employee.pk).update(user=None)
        data = {"username": user.username, "email": "", "is_active": "on", "employee": employee.pk}
        superuser.post(reverse("masterdata:user_edit", args=[user.pk]), data)
    employee.refresh_from_db()
    assert employee.user == second
    data = {"username": "second", "email": "", "is_active": "on", "employee": ""}
    superuser.post(reverse("masterdata:user_edit", args=[second.pk]), data)
    employee.refresh_from_db()
    assert employee.user is None


def test_an_employee_of_another_user_cannot_be_taken(superuser, make_user, employee):
    Employee.objects.filter(pk=employee.pk).update(user=make_user(username="first"))
    second = make_user(username="second")
    data = {"username": "second", "email": "", "is_active": "on", "employee": employee.pk}
    assert superuser.post(reverse("masterdata:user_edit", args=[second.pk]), data).status_code == 422
