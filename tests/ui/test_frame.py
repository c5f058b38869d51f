"""The frame: navigation by role, theme and width from cookies, no inline code, live parts."""

import pytest
from django.urls import reverse
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from masterdata import roles
from masterdata.models import Company
from tests.web.markup import problems_of

URL = "/masterdata/addresses/"


def page(client, url=URL, **cookies):
    for name, value in cookies.items():
        client.cookies[name] = value
    return HTMLParser(client.get(url).content)


@pytest.fixture
def signed_in(client, mail_administrator):
    client.force_login(mail_administrator)
    return client


def test_the_page_is_sound(signed_in):
    assert problems_of(signed_in.get(URL).content.decode(), whole_page=True) == []


def test_the_navigation_shows_what_the_role_may_open(client, make_user):
    client.force_login(make_user(roles.STAFF))
    links = {node.attributes["href"] for node in page(client).css("nav.sidebar a")}
    assert reverse("masterdata:address_list") in links
    assert reverse("masterdata:settings") not in links
    client.force_login(make_user(roles.MAIL_ADMINISTRATOR))
    links = {node.attributes["href"] for node in page(client).css("nav.sidebar a")}
    assert reverse("masterdata:settings") in links


@pytest.mark.parametrize("name", ["settings", "company", "project_list", "project_create", "audit"])
def test_settings_is_current_on_all_its_pages(signed_in, name):
    current = page(signed_in, reverse(f"masterdata:{name}")).css('nav.sidebar [aria-current="page"]')
    assert [node.attributes["href"] for node in current] == [reverse("masterdata:settings")]


def test_the_company_names_the_frame(signed_in):
    assert "ERP-Mail" in page(signed_in).css_first(".brand__name").text()
    Company.objects.create(name="Brandis & Söhne")
    shown = page(signed_in)
    assert shown.css_first(".brand__name").text() == "Brandis & Söhne"
    assert shown.css_first("title").text().endswith("· Brandis & Söhne")


@pytest.mark.parametrize(
    ("cookie", "theme"), [("dark", "dark"), ("light", "light"), ("", None), ('"><script>', None)]
)
def test_the_theme_comes_with_the_page(signed_in, cookie, theme):
    assert page(signed_in, theme=cookie).css_first("html").attributes.get("data-bs-theme") == theme


def test_the_narrow_navigation_comes_with_the_page(signed_in):
    assert "app--rail" not in page(signed_in).css_first("body").attributes["class"]
    assert "app--rail" in page(signed_in, rail="1").css_first("body").attributes["class"]


def test_scripts_carry_the_nonce_of_the_policy(signed_in):
    response = signed_in.get(URL)
    nonces = {node.attributes["nonce"] for node in HTMLParser(response.content).css("script")}
    assert len(nonces) == 1
    assert f"'nonce-{nonces.pop()}'" in response["Content-Security-Policy"]


def test_htmx_evaluates_nothing_and_sends_the_csrf_token(signed_in):
    shown = page(signed_in)
    config = shown.css_first('meta[name="htmx-config"]').attributes["content"]
    assert '"allowEval":false' in config
    assert '"includeIndicatorStyles":false' in config
    assert "X-CSRFToken" in shown.css_first("body").attributes["hx-headers"]


def test_the_language_is_chosen_by_post_and_lasts(client, db):
    assert HTMLParser(client.get(reverse("login")).content).css_first("html").attributes["lang"] == "de"
    response = client.post(reverse("set_language"), {"language": "en", "next": reverse("login")})
    assert response["Location"] == reverse("login")
    assert HTMLParser(client.get(reverse("login")).content).css_first("html").attributes["lang"] == "en"
    assert client.get(reverse("set_language")).status_code == 405


def test_the_language_does_not_lead_elsewhere(client, db):
    response = client.post(reverse("set_language"), {"language": "en", "next": "https://evil.example/"})
    assert "evil" not in response["Location"]


def test_a_message_is_a_callout(signed_in):
    signed_in.post(reverse("masterdata:company"), {"name": "Brandis"})
    callout = page(signed_in, reverse("masterdata:company")).css_first(".messages .callout")
    assert callout.attributes["data-tone"] == "ok"


def test_fragments_do_not_pay_for_the_navigation(signed_in, monkeypatch):
    def refuse(_user):
        raise AssertionError("the navigation was built for a fragment")

    monkeypatch.setattr("ui.navigation.items_for", refuse)
    assert signed_in.get(URL, headers={"HX-Request": "true"}).status_code == 200


@pytest.mark.parametrize("url", ["/nowhere/", "/masterdata/addresses/99999/"])
def test_a_missing_page_keeps_the_frame(signed_in, url):
    response = signed_in.get(url)
    assert response.status_code == 404
    assert problems_of(response.content.decode(), whole_page=True) == []
    assert HTMLParser(response.content).css_first("nav.sidebar")


def test_a_refused_page_keeps_the_frame(client, make_user):
    client.force_login(make_user(roles.STAFF))
    response = client.get(reverse("masterdata:company"))
    assert response.status_code == 403
    assert problems_of(response.content.decode(), whole_page=True) == []


def test_a_fault_shows_a_calm_page(client, settings, monkeypatch, mail_administrator):
    def fail(_request):
        raise RuntimeError("canary-detail")

    monkeypatch.setattr("ui.settings_pages.pages_for", fail)
    client.force_login(mail_administrator)
    client.raise_request_exception = False
    response = client.get(reverse("masterdata:settings"))
    assert response.status_code == 500
    assert b"canary-detail" not in response.content
    assert problems_of(response.content.decode()) == []


def test_strangers_see_no_frame_on_a_missing_page(client, db):
    response = client.get("/nowhere/")
    assert response.status_code in (302, 404)
    assert b"sidebar" not in response.content
