"""The main job in a browser, on the demo as ``make demo`` starts it.

Sign in, connect a mailbox, test it, see a ticket come, answer it, find the answer with the customer and in
the Sent folder; then Ctrl-C and start again. Screenshots stay in ``test-output/``.
"""

from __future__ import annotations

import re
from email import policy
from email.message import EmailMessage

import pytest
from playwright.sync_api import Page, expect

from cockpit.demo.cast import MAIL_PASSWORD, PASSWORD, SPARE_MAILBOX
from tests.browser.demo import ROOT, RunningDemo, running_demo

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo")]

CUSTOMER = "j.thomsen@baeckerei-thomsen.example"
SUBJECT = "Mahnung zur Rechnung RE-2026-1975"
ANSWER = "Guten Tag Herr Thomsen,\n\nder Betrag ist am 20.11. eingegangen. Die Mahnung hat sich erledigt."
PICTURES = ROOT / "test-output"
ARRIVAL_MS = 60_000


@pytest.fixture
def demo(tmp_path):
    with running_demo(tmp_path / "demo") as running:
        yield running


@pytest.fixture
def page(browser_page, demo) -> Page:
    browser_page.set_default_timeout(20_000)
    return browser_page


def sign_in(page: Page, demo: RunningDemo, username: str) -> None:
    page.context.clear_cookies()
    page.goto(f"{demo.url}/login/")
    page.fill("[name=username]", username)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    expect(page.locator("h1")).to_contain_text("Hallo")


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"walk-{name}.png")


def customer_writes(demo: RunningDemo) -> None:
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = f"Jan Thomsen <{CUSTOMER}>", SPARE_MAILBOX, SUBJECT
    mail["Message-ID"] = "<mahnung-1975@baeckerei-thomsen.example>"
    mail.set_content("Moin,\n\nwir haben längst bezahlt. Bitte prüfen Sie das.\n\nJan Thomsen\n")
    demo.mailboxes.deliver(SPARE_MAILBOX, f"Return-Path: <{CUSTOMER}>\r\n".encode() + mail.as_bytes())


def connect_mailbox(page: Page, demo: RunningDemo) -> None:
    """As the mail administrator: create the account, test it, switch its ticket system on."""
    page.goto(f"{demo.url}/accounts/new/")
    page.fill("[name=display_name]", "Brandis Buchhaltung")
    page.fill("[name=email]", SPARE_MAILBOX)
    page.fill("[name=password]", MAIL_PASSWORD)
    page.fill("[name=host]", "localhost")
    page.fill("[name=port]", str(demo.port + 143))
    page.select_option("[name=security]", "starttls")
    page.select_option("[name=poll_seconds]", "10")
    page.check("[name=copies_sent]")
    page.fill("[name=sent_folder]", "Sent")
    page.click("button[formaction$='/test/']")
    steps = page.locator(".steps > li[data-tone=ok]")
    expect(steps).to_have_count(6)
    picture(page, "connection-test")
    page.click("#section-form button.btn-primary[type=submit]")
    expect(page.locator("h1")).to_have_text("Brandis Buchhaltung")


def switch_on_sending(page: Page, demo: RunningDemo) -> None:
    page.click(".section-tabs >> text=SMTP")
    page.check("[name=is_enabled]")
    page.fill("[name=host]", "localhost")
    page.fill("[name=port]", str(demo.port + 25))
    page.select_option("[name=security]", "starttls")
    page.click("#section-form button.btn-primary[type=submit]")
    expect(page.locator(".callout[data-tone=ok]")).to_be_visible()
    page.click("button[hx-post$='/test-mail/']")
    expect(page.locator("#test-steps .steps > li[data-tone=ok]")).to_have_count(6, timeout=ARRIVAL_MS)


def switch_on_tickets(page: Page) -> None:
    page.click(".section-tabs >> text=Ticketsystem")
    page.check("[name=is_enabled]")
    page.select_option("[name=default_queue]", label="Service")
    page.click("main button.btn-primary[type=submit]")
    expect(page.locator(".callout[data-tone=ok]")).to_be_visible()


def answer_ticket(page: Page, demo: RunningDemo) -> str:
    """As the agent: wait for the ticket, answer it, wait for its delivery; returns the ticket's number."""
    page.goto(f"{demo.url}/tickets/")
    ticket = page.locator("a.cell-link", has_text=SUBJECT)
    expect(ticket).to_be_visible(timeout=ARRIVAL_MS)  # without a reload: the list refreshes itself
    picture(page, "ticket-list")
    ticket.click()
    expect(page.locator("h1")).to_have_text(SUBJECT)
    expect(page.locator("[name=from_address] option:checked")).to_contain_text(SPARE_MAILBOX)
    page.fill("#composer [name=text]", ANSWER)
    page.click("#composer button.btn-primary[type=submit]")
    expect(page.locator(".message[data-kind=out] .tone-ok")).to_have_text("zugestellt", timeout=ARRIVAL_MS)
    picture(page, "answered")
    number = re.search(r"\d{8}-\d{5}", page.url)
    assert number is not None
    return number.group()


def check_delivered(page: Page, demo: RunningDemo, number: str) -> None:
    """The answer as the customer finds it, and the same bytes in Sent."""
    received = [raw for _, raw in demo.mailboxes.messages(CUSTOMER) if number.encode() in raw]
    assert len(received) == 1
    assert f"From: Brandis Buchhaltung <{SPARE_MAILBOX}>".encode() in received[0]
    assert b"In-Reply-To: <mahnung-1975@baeckerei-thomsen.example>" in received[0]
    page.goto(f"{demo.url}/demo/mailboxes/{CUSTOMER}/INBOX/")
    expect(page.locator("article", has_text=number)).to_contain_text("Die Mahnung hat sich erledigt.")
    picture(page, "customer")
    page.goto(f"{demo.url}/demo/mailboxes/{SPARE_MAILBOX}/Sent/")
    sent = page.locator("article", has_text=number)
    for _ in range(30):
        if sent.count():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(sent).to_have_count(1)
    copies = [raw for _, raw in demo.mailboxes.messages(SPARE_MAILBOX, "Sent") if number.encode() in raw]
    # The server in between adds trace lines on top; from the first line of ours on, the bytes are the same.
    # The demo's IMAP server keeps bare line feeds; real servers are compared to the byte in tests/outbound.
    assert received[0].replace(b"\r\n", b"\n").endswith(copies[0].replace(b"\r\n", b"\n"))


def test_from_an_empty_form_to_an_answered_ticket(page, demo):
    sign_in(page, demo, "mailadmin")
    connect_mailbox(page, demo)
    switch_on_sending(page, demo)
    switch_on_tickets(page)
    customer_writes(demo)
    sign_in(page, demo, "jana")
    number = answer_ticket(page, demo)
    check_delivered(page, demo, number)
    assert demo.interrupt() == 0


def test_the_demo_goes_on_where_it_was(page, tmp_path, demo):
    sign_in(page, demo, "jana")
    page.goto(f"{demo.url}/tickets/")
    expect(page.locator("table a.cell-link").first).to_be_visible(timeout=ARRIVAL_MS)
    before = page.locator("table a.cell-link").last.inner_text()
    assert demo.interrupt() == 0
    with running_demo(demo.folder) as again:
        sign_in(page, again, "jana")
        page.goto(f"{again.url}/tickets/")
        expect(page.locator("table a.cell-link", has_text=before)).to_have_count(1)
