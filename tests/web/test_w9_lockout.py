"""Signing in: a growing pause per name and address, no hint whether an account exists, no lasting lockout."""

import datetime as dt

import pytest
import time_machine
from django.contrib.auth.models import User
from django.urls import reverse

LOGIN = "/login/"
PASSWORD = "test-password-123"  # the fixture's
NOON = dt.datetime(2026, 11, 24, 11, 0, tzinfo=dt.UTC)


@pytest.fixture
def jana(make_user):
    return make_user("staff", username="jana")


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def attempt(client, name, password="wrong", ip="192.0.2.1"):  # a wrong one
    return client.post(LOGIN, {"username": name, "password": password}, REMOTE_ADDR=ip)


def fail(client, name, times, ip="192.0.2.1"):
    return [attempt(client, name, ip=ip).status_code for _ in range(times)]


def is_signed_in(client):
    return "_auth_user_id" in client.session


def text_of(response):
    return response.content.decode()


@pytest.mark.parametrize("name", ["jana", "JANA", " jana ", "jana@erp.example", "Jana@ERP.example"])
def test_name_or_address_signs_in(client, jana, name):
    assert attempt(client, name, PASSWORD).status_code == 302
    assert is_signed_in(client)


def test_an_address_two_users_share_signs_in_neither(client, jana, make_user):
    User.objects.filter(pk=make_user("staff", username="petra").pk).update(email="jana@erp.example")
    assert attempt(client, "jana@erp.example", PASSWORD).status_code == 422
    assert attempt(client, "jana", PASSWORD).status_code == 302


def test_a_user_name_that_is_an_address_of_another_wins(client, jana, make_user):
    other = make_user("staff", username="other")
    User.objects.filter(pk=other.pk).update(username="jana@erp.example")
    attempt(client, "jana@erp.example", PASSWORD)
    assert client.session["_auth_user_id"] == str(other.pk)


def test_w9_the_fifth_failure_pauses_the_name_at_this_address(client, jana, clock):
    assert fail(client, "jana", 5) == [422, 422, 422, 422, 429]
    response = attempt(client, "jana", PASSWORD)
    assert response.status_code == 429
    assert response["Retry-After"] == "900"
    assert "12:15" in text_of(response)
    assert not is_signed_in(client)


def test_w9_another_address_and_another_name_are_not_affected(client, jana, make_user, clock):
    make_user("staff", username="petra")
    fail(client, "jana", 5)
    assert attempt(client, "petra", PASSWORD).status_code == 302
    client.logout()
    assert attempt(client, "jana", PASSWORD, ip="192.0.2.99").status_code == 302


def test_w9_the_pause_grows_and_is_capped_at_a_day(client, jana, clock):
    pauses = []
    for _ in range(7):
        assert fail(client, "jana", 5)[-1] == 429
        pause = int(attempt(client, "jana")["Retry-After"])
        pauses.append(pause // 60)
        clock.shift(pause + 1)
    assert pauses == [15, 60, 240, 720, 1440, 1440, 1440]


def test_w9_attempts_during_the_pause_do_not_prolong_it(client, jana, clock):
    fail(client, "jana", 5)
    clock.shift(14 * 60)
    fail(client, "jana", 20)
    clock.shift(62)
    assert attempt(client, "jana", PASSWORD).status_code == 302


def test_w9_no_administrator_is_locked_out_for_good(client, make_user, clock):
    make_user(superuser=True, username="root")
    for _ in range(30):
        fail(client, "root", 5)
        clock.shift(24 * 3600 + 1)
        assert attempt(client, "root").status_code == 422
    clock.shift(24 * 3600)
    assert attempt(client, "root", PASSWORD).status_code == 302


def test_w9_success_forgets_the_failures_of_the_typed_name(client, jana, clock):
    for name in ("jana", "jana@erp.example"):
        assert fail(client, name, 4) == [422] * 4
        assert attempt(client, name, PASSWORD).status_code == 302
        client.logout()
        assert fail(client, name, 4) == [422] * 4
        clock.shift(3600)


@pytest.mark.parametrize("name", ["jana", "jana@erp.example"])
def test_w9_success_starts_the_pauses_anew(client, jana, clock, name):
    for _ in range(3):
        fail(client, name, 5)
        clock.shift(24 * 3600)
    attempt(client, name, PASSWORD)
    client.logout()
    clock.shift(60)
    fail(client, name, 5)
    assert attempt(client, name)["Retry-After"] == "900"


def test_w9_known_unknown_and_switched_off_names_read_alike(client, jana, make_user, clock):
    User.objects.filter(pk=make_user("staff", username="petra").pk).update(is_active=False)
    pages = []
    for name in ("jana", "petra", "nobody", "nobody@erp.example"):
        secret = PASSWORD if name == "petra" else "wrong"
        responses = [attempt(client, name, secret) for _ in range(6)]
        pages.append([(r.status_code, _without_token(text_of(r)).replace(name, "NAME")) for r in responses])
    assert pages[0] == pages[1] == pages[2] == pages[3]


def test_w9_each_attempt_costs_one_hash_known_name_or_not(client, jana, make_user, monkeypatch):
    User.objects.filter(pk=make_user("staff", username="petra").pk).update(is_active=False)
    hashed = []
    original = User.check_password
    monkeypatch.setattr(User, "check_password", lambda user, raw: hashed.append(1) or original(user, raw))
    set_password = User.set_password
    monkeypatch.setattr(User, "set_password", lambda user, raw: hashed.append(1) or set_password(user, raw))
    counts = []
    for name in ("jana", "petra", "nobody", "nobody@erp.example"):
        hashed.clear()
        attempt(client, name)
        counts.append(len(hashed))
    assert counts == [1, 1, 1, 1]


def test_w9_the_remaining_attempts_are_told(client, jana, clock):
    assert "Noch 4 Versuche, danach 15 Minuten Pause" in text_of(attempt(client, "jana"))
    fail(client, "jana", 2)
    assert "Noch 1 Versuch, danach 15 Minuten Pause" in text_of(attempt(client, "jana"))


def through_proxy(client, forwarded):
    return client.post(
        LOGIN,
        {"username": "jana", "password": "wrong"},
        REMOTE_ADDR="10.0.0.1",
        HTTP_X_FORWARDED_FOR=forwarded,
    )


def test_w9_behind_a_proxy_the_visitors_address_counts(client, jana, settings):
    settings.BEHIND_PROXY = True
    for n in range(5):
        # What the visitor claims stands before what our proxy saw.
        response = through_proxy(client, f"203.0.113.{n}, 198.51.100.7")
    assert response.status_code == 429
    assert through_proxy(client, "198.51.100.8").status_code == 422
    assert through_proxy(client, "garbage").status_code == 422


def test_w9_without_a_proxy_the_header_is_not_believed(client, jana):
    for n in range(5):
        response = through_proxy(client, f"203.0.113.{n}")
    assert response.status_code == 429


def test_odd_names_are_refused_calmly(client, db):
    for name in ("", "\0", "x" * 5000, "a\r\nb", "' OR 1=1 --"):
        assert attempt(client, name).status_code == 422


def test_the_password_is_never_written_back_or_kept(client, jana, caplog):
    from axes.models import AccessAttempt, AccessFailureLog

    response = attempt(client, "jana", "canary-secret-1")
    assert "canary-secret-1" not in text_of(response)
    stored = [*AccessAttempt.objects.values(), *AccessFailureLog.objects.values()]
    assert stored
    assert "canary-secret-1" not in str(stored) + caplog.text


def test_login_leads_on_to_pages_here_only(client, jana):
    next_page = reverse("masterdata:address_list")
    response = client.post(
        f"{LOGIN}?next={next_page}", {"username": "jana", "password": PASSWORD, "next": next_page}
    )
    assert response["Location"] == next_page
    client.logout()
    response = client.post(LOGIN, {"username": "jana", "password": PASSWORD, "next": "https://evil.example/"})
    assert "evil" not in response["Location"]


def _without_token(html):
    import re

    return re.sub(r'(csrfmiddlewaretoken" value|nonce)="[^"]*"', "", html)
