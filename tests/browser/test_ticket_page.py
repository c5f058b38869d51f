"""The conversation page in a browser: the composer keeps what was written, news comes by itself."""

from __future__ import annotations

import pytest

from tests.browser.test_hostile_html import chromium, session_of
from tests.tickets_pages.conftest import office, receive, ticket  # noqa: F401  # fixtures
from tickets.models import TicketMessage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_switching_to_a_note_keeps_the_text_and_sends_no_mail(live_server, office, ticket):  # noqa: F811  # fixtures
    with chromium(live_server.url, session_of(office.agent)) as (page, watch):
        page.goto(f"{live_server.url}{ticket.get_absolute_url()}")
        page.locator("#c_text").fill("Schon geschrieben")
        page.locator(".composer__tabs a[href*='compose=note']").click()
        page.wait_for_selector("#composer[data-kind=note]")
        kept = page.locator("#c_text").input_value()
        page.locator("#c_text").press("Control+Enter")
        page.wait_for_selector(".message[data-kind=note]")
        shown = page.locator(".message[data-kind=note] .message__text").inner_text()

    assert (kept, shown) == ("Schon geschrieben", "Schon geschrieben")
    assert watch.hits == []
    assert TicketMessage.objects.filter(kind=TicketMessage.Kind.NOTE).count() == 1
    assert not TicketMessage.objects.filter(kind=TicketMessage.Kind.OUTGOING).exists()
