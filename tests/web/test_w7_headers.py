"""The browser's rules, exactly."""

import re

import pytest
from django.urls import reverse

POLICY = (
    "default-src 'none'; script-src 'nonce-N'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
OTHERS = {
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: then browsers send "Origin: null" with every form, which the CSRF check refuses.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def policy_of(response):
    header = response["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in header.split(";"))
    expected = dict(part.strip().split(" ", 1) for part in POLICY.split(";"))
    nonce = re.sub(r"'nonce-[\w+/=-]{16,}'", "'nonce-N'", directives.get("script-src", ""))
    return directives | {"script-src": nonce}, expected


@pytest.mark.parametrize("url", ["/login/", "/masterdata/addresses/", "/masterdata/audit/", "/nowhere/"])
def test_w7_the_policy_is_exactly_this(client, mail_administrator, url):
    if url != "/login/":
        client.force_login(mail_administrator)
    found, expected = policy_of(client.get(url))
    assert found == expected


def test_w7_t3_scripts_run_by_nonce_only(client, db):
    found, _expected = policy_of(client.get(reverse("login")))
    assert "'self'" not in found["script-src"]
    assert "unsafe" not in str(found)


def test_w7_each_page_has_its_own_nonce(client, db):
    first, second = (
        re.search(r"nonce-([^']+)", client.get("/login/")["Content-Security-Policy"]) for _ in range(2)
    )
    assert first[1] != second[1]


@pytest.mark.parametrize("url", ["/login/", "/nowhere/"])
def test_w7_the_other_headers(client, db, url):
    response = client.get(url)
    assert {name: response[name] for name in OTHERS} == OTHERS


def test_w7_hsts_over_tls(client, db, settings):
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 31_536_000, True
    settings.SECURE_HSTS_PRELOAD = True
    header = client.get("/login/", secure=True)["Strict-Transport-Security"]
    assert header == "max-age=31536000; includeSubDomains; preload"


def test_w7_errors_carry_the_policy_too(client, mail_administrator, monkeypatch):
    def fail(_user):
        raise RuntimeError

    monkeypatch.setattr("ui.settings_pages.pages_for", fail)
    client.force_login(mail_administrator)
    client.raise_request_exception = False
    response = client.get(reverse("masterdata:settings"))
    assert response.status_code == 500
    assert "default-src 'none'" in response["Content-Security-Policy"]
