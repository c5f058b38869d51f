"""The pages: who may open them, what they say, and that long lists stay cheap."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from mailaccounts import health
from mailaccounts.models import AccountHealth, ConnectionEvent, MailAccount, MailAccountEmployee
from mailkit.errors import AuthenticationFailed, ConnectionTimeout
from masterdata import roles
from tests.mailaccounts.conftest import imap_post


def _fail(account: MailAccount, error=None) -> None:
    health.record_failure(
        account.pk, error or AuthenticationFailed("NO [AUTHENTICATIONFAILED] Authentication failed")
    )


@pytest.mark.parametrize("slug", ["imap", "smtp", "employees", "log"])
def test_each_tab_opens(admin_client, make_account, slug):
    account = make_account(smtp={})
    _fail(account)
    response = admin_client.get(reverse("mailaccounts:section", args=[account.pk, slug]))
    assert response.status_code == 200
    assert "Anmeldung abgelehnt" in response.content.decode()


def test_list_shows_cause_and_remedy_of_trouble(admin_client, make_account):
    make_account(display_name="Zentrale")
    _fail(make_account(display_name="Buchhaltung"))
    page = admin_client.get(reverse("mailaccounts:list")).content.decode()
    assert "Zentrale" in page
    assert "Anmeldung abgelehnt." in page
    assert page.index("Buchhaltung") < page.index("Zentrale"), "trouble stands first"


def test_health_segments_filter_and_count(admin_client, make_account):
    good, bad, off = (make_account() for _ in range(3))
    _fail(bad)
    MailAccount.objects.filter(pk=off.pk).update(retired_at=timezone.now())
    AccountHealth.objects.create(account=good, last_success_at=timezone.now())
    page = admin_client.get(reverse("mailaccounts:list"), {"health": "bad"})
    assert [row.account.pk for row in page.context["account_rows"]] == [bad.pk]
    counts = {option.value: option.count for option in page.context["filters"][0].options}
    assert counts == {"": 3, "bad": 1, "warn": 0, "ok": 1, "off": 1}


def test_owner_filter_and_search(admin_client, make_account):
    make_account(display_name="Firma")
    personal = make_account(display_name="Jana", kind="personal")
    page = admin_client.get(reverse("mailaccounts:list"), {"owner": "personal"})
    assert [row.account for row in page.context["account_rows"]] == [personal]
    page = admin_client.get(reverse("mailaccounts:list"), {"q": "firma"})
    assert [row.account.display_name for row in page.context["account_rows"]] == ["Firma"]


@pytest.mark.parametrize(
    "sort", ["health", "-health", "name", "-name", "owner", "lag", "-lag", "last", "-last"]
)
def test_sorting(admin_client, make_account, sort):
    for _ in range(3):
        make_account()
    assert len(admin_client.get(reverse("mailaccounts:list"), {"sort": sort}).context["account_rows"]) == 3


def test_list_costs_the_same_for_three_accounts_and_thirty(
    admin_client, make_account, django_assert_max_num_queries
):
    for _ in range(3):
        _fail(make_account(smtp={}))
    with django_assert_max_num_queries(40) as few:
        admin_client.get(reverse("mailaccounts:list"))
    for _ in range(27):
        _fail(make_account(smtp={}))
    with django_assert_max_num_queries(len(few)):
        admin_client.get(reverse("mailaccounts:list"))


def test_unchanged_list_answers_not_modified(admin_client, make_account):
    make_account()
    url = reverse("mailaccounts:list")
    first = admin_client.get(url, headers={"HX-Request": "true"})
    again = admin_client.get(url, headers={"HX-Request": "true", "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_empty_list_says_what_to_do_next(admin_client):
    page = admin_client.get(reverse("mailaccounts:list")).content.decode()
    assert reverse("mailaccounts:create") in page


def test_b59_csv_neutralises_formulas(admin_client, make_account):
    make_account(display_name="=cmd|'/c calc'!A1")
    response = admin_client.get(reverse("mailaccounts:list"), {"format": "csv"})
    assert "'=cmd" in b"".join(response.streaming_content).decode()


def test_health_fragment_changes_with_the_health(admin_client, make_account):
    account = make_account()
    url = reverse("mailaccounts:health", args=[account.pk])
    first = admin_client.get(url)
    assert admin_client.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    _fail(account, ConnectionTimeout("imap.brandis.example port 993"))
    changed = admin_client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert "Keine Antwort" in changed.content.decode()


def test_log_tells_changes_and_connection_events(admin_client, make_account):
    account = make_account()
    _fail(account)
    health.record_success(account.pk, next_poll_at=timezone.now())
    admin_client.post(
        reverse("mailaccounts:section", args=[account.pk, "imap"]), imap_post(account, description="Neu")
    )
    page = admin_client.get(reverse("mailaccounts:section", args=[account.pk, "log"])).content.decode()
    assert "Interne Beschreibung" in page
    assert "Neu" in page
    assert ConnectionEvent.objects.filter(account=account).count() == 2
    assert "Abruf läuft wieder" in page


def test_w1_owner_sees_the_own_account_and_changes_nothing(client, make_account, make_user, make_employee):
    user = make_user(roles.STAFF)
    account = make_account(kind="personal")
    MailAccountEmployee.objects.create(account=account, employee=make_employee(user))
    client.force_login(user)
    url = reverse("mailaccounts:section", args=[account.pk, "imap"])
    page = client.get(url)
    assert page.status_code == 200
    assert 'name="host"' in page.content.decode()
    assert "Verbindung testen" not in page.content.decode()
    assert client.post(url, imap_post(account, host="evil.example")).status_code == 403
    account.imap.refresh_from_db()
    assert account.imap.host == "imap.brandis.example"


def test_w1_foreign_account_does_not_exist(client, make_account, make_user, make_employee):
    user = make_user(roles.STAFF)
    own = make_account(kind="personal")
    MailAccountEmployee.objects.create(account=own, employee=make_employee(user))
    foreign = make_account()
    client.force_login(user)
    assert client.get(reverse("mailaccounts:account", args=[own.pk])).status_code == 200
    for name in ("account", "health"):
        assert client.get(reverse(f"mailaccounts:{name}", args=[foreign.pk])).status_code == 404
    assert client.get(reverse("mailaccounts:section", args=[foreign.pk, "imap"])).status_code == 404
    listed = client.get(reverse("mailaccounts:list")).context["account_rows"]
    assert [row.account for row in listed] == [own]
