"""Cookies, sessions and caches."""

import os
import subprocess
import sys
from ast import literal_eval
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

PASSWORD = "test-password-123"  # the fixture's
ROOT = Path(settings.BASE_DIR)
NAMES = (
    "SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_DOMAIN", "SESSION_COOKIE_PATH", "SESSION_COOKIE_AGE", "CSRF_COOKIE_NAME",
    "CSRF_COOKIE_SECURE", "CSRF_COOKIE_HTTPONLY", "CSRF_COOKIE_SAMESITE", "CSRF_COOKIE_DOMAIN",
    "CSRF_COOKIE_PATH", "LANGUAGE_COOKIE_SECURE",
    "SECURE_HSTS_SECONDS", "SECURE_SSL_REDIRECT", "DEBUG",
)  # fmt: skip


def production_settings(**environment):
    """Settings as a company runs them, read in a process of their own."""
    code = f"from django.conf import settings as s; print([getattr(s, n) for n in {NAMES!r}])"
    env = (
        os.environ
        | {"DJANGO_SETTINGS_MODULE": "config.settings", "HTTPS": "true", "SECRET_KEY": "x" * 50}
        | environment
    )
    env["ENV_FILE"] = "/nonexistent"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return dict(zip(NAMES, literal_eval(done.stdout), strict=True))


def sign_in(client):
    return client.post(reverse("login"), {"username": "jana", "password": PASSWORD})


@pytest.fixture
def jana(make_user):
    return make_user("staff", username="jana")


def test_w6_cookies_are_bound_to_host_and_tls_in_production():
    found = production_settings()
    assert found["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert found["CSRF_COOKIE_NAME"].startswith("__Host-")
    assert found["SESSION_COOKIE_SECURE"]
    assert found["CSRF_COOKIE_SECURE"]
    assert found["LANGUAGE_COOKIE_SECURE"]
    # Browsers take a __Host- cookie only without a domain and for the whole path.
    assert (found["SESSION_COOKIE_DOMAIN"], found["SESSION_COOKIE_PATH"]) == (None, "/")
    assert (found["CSRF_COOKIE_DOMAIN"], found["CSRF_COOKIE_PATH"]) == (None, "/")
    assert (found["SECURE_HSTS_SECONDS"], found["SECURE_SSL_REDIRECT"], found["DEBUG"]) == (
        31_536_000,
        True,
        False,
    )


def test_w6_sessions_end_after_eight_idle_hours_unless_configured():
    assert production_settings()["SESSION_COOKIE_AGE"] == 8 * 3600
    assert production_settings(SESSION_IDLE_HOURS="2")["SESSION_COOKIE_AGE"] == 2 * 3600


@pytest.mark.parametrize(("headers", "is_prolonged"), [({}, True), ({"X-Background": "1"}, False)])
def test_w6_an_open_tab_does_not_keep_the_session_alive(client, jana, headers, is_prolonged):
    sign_in(client)
    Session.objects.update(expire_date=timezone.now() + timedelta(hours=1))
    client.get(reverse("masterdata:address_list"), headers=headers)
    left = Session.objects.get().expire_date - timezone.now()
    assert (left > timedelta(hours=7)) == is_prolonged


def test_w6_cookies_are_out_of_reach_of_scripts_and_other_sites(client, jana):
    client.get(reverse("login"))
    response = sign_in(client)
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        cookie = response.cookies[name]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"


def test_w6_signing_in_changes_session_and_token(client, jana):
    client.get(reverse("login"))
    session = client.session
    session["planted"] = "by a stranger"
    session.save()
    planted, token = session.session_key, client.cookies[settings.CSRF_COOKIE_NAME].value
    sign_in(client)
    assert client.session.session_key != planted
    assert client.cookies[settings.CSRF_COOKIE_NAME].value != token


def test_w6_signing_out_kills_the_session(client, jana):
    sign_in(client)
    stolen = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert client.get(reverse("masterdata:address_list")).status_code == 200
    assert client.post(reverse("logout")).status_code == 302
    client.cookies[settings.SESSION_COOKIE_NAME] = stolen
    assert client.get(reverse("masterdata:address_list")).status_code == 302


def test_w6_signing_out_needs_a_post(client, jana):
    sign_in(client)
    assert client.get(reverse("logout")).status_code == 405
    assert client.get(reverse("masterdata:address_list")).status_code == 200


def test_w6_a_new_password_ends_the_other_sessions(client, jana):
    from django.test import Client

    other = Client()
    sign_in(client)
    sign_in(other)
    new = "a-quite-other-secret-7"
    answer = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post(reverse("password_change"), answer).status_code == 302
    assert client.get(reverse("masterdata:address_list")).status_code == 200
    assert other.get(reverse("masterdata:address_list")).status_code == 302


def test_w6_a_user_switched_off_is_out_at_once(client, jana):
    sign_in(client)
    jana.is_active = False
    jana.save()
    assert client.get(reverse("masterdata:address_list")).status_code == 302


@pytest.mark.parametrize("url", ["login", "masterdata:address_list", "masterdata:address_create"])
def test_w6_pages_are_not_kept_in_caches(client, jana, url):
    if url != "login":
        sign_in(client)
    assert "no-store" in client.get(reverse(url))["Cache-Control"]


def test_w6_an_expired_session_sends_htmx_to_the_login_not_into_the_table(client, jana):
    response = client.get(reverse("masterdata:address_list"), headers={"HX-Request": "true"})
    assert response.status_code == 204
    assert response["HX-Redirect"].startswith(reverse("login"))
