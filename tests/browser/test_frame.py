"""The frame in a browser: what the small script adds, on the desk and on the phone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, sync_playwright

from masterdata.models import Address, Project
from tests.browser.conftest import ARGUMENTS, CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADDRESSES = "/masterdata/addresses/"
PAGES = (
    ADDRESSES,
    f"{ADDRESSES}new/",
    "/masterdata/settings/",
    "/masterdata/company/",
    "/masterdata/projects/",
    "/masterdata/employees/",
    "/masterdata/employees/new/",
    "/masterdata/users/",
    "/masterdata/users/new/",
    "/masterdata/audit/",
    "/password/",
    "/nowhere/",
)
WIDE, PHONE, NARROW = (1440, 900), (390, 844), (320, 640)


@contextmanager
def chromium(home: str, user=None, size: tuple[int, int] = WIDE) -> Iterator[Page]:
    """A page of the user. The ORM is out of reach while it is open; what the browser complains of fails."""
    client = Client()
    if user is not None:
        client.force_login(user)
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, base_url=home, color_scheme="light", locale="de-DE")
        if user is not None:
            session = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": home}])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        try:
            yield page
        finally:
            browser.close()
    assert [text for text in complaints if "404" not in text and "422" not in text] == []


@pytest.fixture
def root(make_user, original):
    for number in range(3):
        Address.objects.create(
            number=str(number), name=f"Zuckerfabrik Uelzener Rübenbauern {number}", city="Uelzen"
        )
    Project.objects.create(name="Wartung", key="wartung")
    return make_user(superuser=True, username="root")


def test_the_theme_changes_at_once_and_comes_with_the_next_page(live_server, root):
    with chromium(live_server.url, root) as page:
        page.goto(ADDRESSES)
        seen = []
        for _ in range(3):
            page.locator(".topbar__end > [data-theme-switch]").click()
            seen.append(page.locator("html").get_attribute("data-bs-theme"))
            html = page.request.get(ADDRESSES).text().split("<head>")[0]
            assert (f'data-bs-theme="{seen[-1]}"' in html) is bool(seen[-1])
    assert seen == ["light", "dark", None]


def test_the_navigation_stays_narrow(live_server, root):
    with chromium(live_server.url, root) as page:
        page.goto(ADDRESSES)
        page.locator("[data-rail-switch]").click()
        page.reload()
        width = page.locator("nav.sidebar").bounding_box()["width"]
        pressed = page.locator("[data-rail-switch]").get_attribute("aria-pressed")
    assert (width < 60, pressed) == (True, "true")


def test_slash_leads_to_the_search_but_is_a_slash_in_a_field(live_server, root):
    with chromium(live_server.url, root) as page:
        page.goto(ADDRESSES)
        page.keyboard.press("/")
        page.keyboard.type("a/b")
        typed = page.locator("[data-global-search]").input_value()
    assert typed == "a/b"


def test_the_skip_link_comes_first_and_leads_to_the_content(live_server, root):
    with chromium(live_server.url, root) as page:
        page.goto(ADDRESSES)
        page.keyboard.press("Tab")
        first = page.evaluate("document.activeElement.className")
        page.keyboard.press("Enter")
        then = page.evaluate("document.activeElement.id")
    assert (first, then) == ("skip-link", "main")


def test_another_row_is_added_filled_in_and_saved(live_server, root):
    with chromium(live_server.url, root) as page:
        page.goto(f"{ADDRESSES}new/")
        page.fill("[name=name]", "Birke GmbH")
        page.fill("[name=rows-0-name]", "Karl")
        page.click("[data-formset-add]")
        page.keyboard.type("Karla")
        page.click(".save-bar .btn-primary")
        page.wait_for_selector(".messages .callout")
        names = [page.locator(f"[name=rows-{n}-name]").input_value() for n in range(3)]
    assert names == ["Karl", "Karla", ""]


def test_a_faulty_form_takes_the_focus_to_the_reason(live_server, root):
    with chromium(live_server.url, root) as page:
        page.goto(f"{ADDRESSES}new/")
        page.fill("[name=name]", "x")
        page.fill("[name=email]", "no address")
        page.click(".save-bar .btn-primary")
        page.wait_for_selector("[role=alert]")
        focused = page.evaluate("document.activeElement.getAttribute('role')")
        kept = page.locator("[name=email]").input_value()
    assert (focused, kept) == ("alert", "no address")


def test_a_choice_filters_at_once_and_leaves_a_short_url(live_server, root):
    Client().force_login(root)
    with chromium(live_server.url, root) as page:
        page.goto("/masterdata/company/")
        page.fill("[name=name]", "Brandis")
        page.click(".save-bar .btn-primary")
        page.goto("/masterdata/audit/")
        page.select_option("[name=actor]", "root")
        page.wait_for_url("**/masterdata/audit/?actor=root")
        rows = page.locator("tbody tr").count()
    assert rows == 1


def test_polling_sends_what_is_shown_and_swaps_nothing_for_304(live_server, root):
    poll = "htmx.ajax('GET', location.href, {source: '#list', target: '#list'})"
    with chromium(live_server.url, root) as page:
        page.goto("/accounts/")
        statuses = []
        for _ in range(3):
            with page.expect_response(lambda response: response.url.endswith("/accounts/")) as answer:
                page.evaluate(poll)
            statuses.append(answer.value.status)
            page.evaluate("document.querySelector('#list').dataset.mark = 'kept'")
        shown = page.locator("#list").inner_text()
    assert statuses == [200, 304, 304]
    assert shown.strip()


def test_the_drawer_opens_and_closes_on_the_phone(live_server, root):
    with chromium(live_server.url, root, PHONE) as page:
        page.goto(ADDRESSES)
        drawer = page.locator("nav.sidebar")
        states = [drawer.is_visible()]
        page.click(".topbar__menu")
        states.append(drawer.is_visible())
        page.keyboard.press("Escape")
        states.append(drawer.is_visible())
    assert states == [False, True, False]


@pytest.mark.parametrize("size", [WIDE, PHONE, NARROW], ids=["wide", "phone", "narrow"])
def test_no_page_scrolls_sideways_or_complains(live_server, root, size):
    with chromium(live_server.url, root, size) as page:
        crooked = []
        for url in PAGES:
            page.goto(url)
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                crooked.append(url)
    assert crooked == []


def test_signing_in_and_out(live_server, root):
    with chromium(live_server.url) as page:
        page.goto(ADDRESSES)
        page.fill("[name=username]", "root@erp.example")
        page.fill("[name=password]", "wrong")
        page.click(".btn-primary")
        refused = page.locator("[role=alert]").inner_text()
        page.fill("[name=username]", "root@erp.example")
        page.fill("[name=password]", "test-password-123")
        page.click(".btn-primary")
        page.wait_for_url(f"**{ADDRESSES}")
        page.click("details.menu-wrap > summary")
        page.get_by_role("button", name="Abmelden").click()
        page.wait_for_url("**/login/**")
    assert "Noch 4 Versuche" in refused
