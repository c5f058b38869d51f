"""The conversation page: what came in is shown safely, what happened is said in words."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from masterdata.models import Address, ContactPerson
from outbound.models import OutgoingMessage
from tests.tickets_pages.conftest import CUSTOMER, SERVICE, customer_mailbox, letter
from tests.tickets_pages.mails import html_letter, part, with_attachment, with_parts
from tests.tickets_pages.pages import elements, named
from tickets import conversation, services
from tickets.autoreply_reasons import REASONS
from tickets.models import Ticket, TicketEvent, TicketMessage
from tickets.vocabulary import Event, Mark

pytestmark = pytest.mark.django_db

BAD = '"><img src=x onerror=alert(1)>'


def page(client, ticket: Ticket, query: str = "") -> str:
    response = client.get(f"{ticket.get_absolute_url()}{query}")
    assert response.status_code == 200
    return response.content.decode()


def frame_of(html: str) -> dict[str, str]:
    (frame,) = elements(html, "iframe")
    return frame


def test_w8_html_mail_is_shown_in_a_sandboxed_frame_without_scripts(agent_client, receive):
    message = receive(html_letter("<p>Guten Tag</p><script>alert(1)</script><p onclick=x()>Ende</p>"))
    frame = frame_of(page(agent_client, message.ticket))

    assert frame["sandbox"].split() == ["allow-same-origin", "allow-popups", "allow-popups-to-escape-sandbox"]
    assert "src" not in frame
    assert frame["title"]
    inside = named(frame["srcdoc"])
    assert not [tag for tag, _attributes in inside if tag in {"script", "base", "form", "iframe", "object"}]
    assert not [name for _tag, attributes in inside for name in attributes if name.startswith("on")]
    assert "Guten Tag" in frame["srcdoc"]


def test_w8_the_frame_brings_its_own_policy_before_anything_else_loads(agent_client, receive):
    message = receive(html_letter("<p>x</p>"))
    inside = named(frame_of(page(agent_client, message.ticket))["srcdoc"])
    loading = [tag for tag, _a in inside].index("link")
    policy_at, policy = next((i, a["content"]) for i, (t, a) in enumerate(inside) if a.get("http-equiv"))

    assert policy_at < loading
    assert policy.startswith("default-src 'none'; img-src 'self' data:;")
    assert "script" not in policy


def test_w8_mail_cannot_leave_the_attribute_that_holds_it(agent_client, receive):
    attack = (
        '"></iframe><img src=https://evil.example/p.gif><a href="x" title=\'"><b id=out>\'>x</a>'
        "&quot;><b id=out>"
    )
    message = receive(html_letter(f"<p>{attack}</p>"))
    html = page(agent_client, message.ticket)

    assert len(elements(html, "iframe")) == 1
    assert not [a for a in elements(html, "img") if "evil" in a.get("src", "")]
    assert not [a for a in elements(html) if a.get("id") == "out"]


def test_b42_t21_remote_pictures_are_blocked_counted_and_loaded_on_request_only(agent_client, receive):
    html = '<img src="https://tracker.example/1.gif"><img src="http://127.0.0.1/2.gif"><img src="https://x.example/3.png">'
    message = receive(html_letter(f"<p>Hallo</p>{html}"))
    before = agent_client.get(message.ticket.get_absolute_url())
    after = agent_client.get(f"{message.ticket.get_absolute_url()}?remote={message.pk}")

    assert "tracker.example" not in before.content.decode()
    assert "3 Bilder aus dem Internet" in before.content.decode()
    assert "https:" not in before.headers["Content-Security-Policy"].split("img-src")[1].split(";")[0]
    assert 'src="https://tracker.example/1.gif"' in frame_of(after.content.decode())["srcdoc"]
    assert "https:" in after.headers["Content-Security-Policy"].split("img-src")[1].split(";")[0]
    assert "Bilder laden" not in after.content.decode()


def test_pictures_are_loaded_for_the_message_asked_for_only(agent_client, receive):
    first = receive(html_letter("<img src='https://a.example/1.gif'>", message_id="a@x.example"))
    second = receive(
        html_letter(
            "<img src='https://b.example/1.gif'>",
            headers="In-Reply-To: <a@x.example>\r\n",
            message_id="b@x.example",
        )
    )
    assert first.ticket_id == second.ticket_id
    html = page(agent_client, first.ticket, f"?remote={second.pk}")
    blocked, shown = (frame["srcdoc"] for frame in elements(html, "iframe"))

    assert "a.example" not in blocked
    assert "https:" not in blocked.split("img-src")[1].split(";")[0]
    assert "b.example" in shown


def test_b49_subject_name_file_name_and_media_type_are_escaped(agent_client, receive):
    quoted = BAD.replace('"', '\\"')
    attachment = part(
        b"x", content_type=f'image/png; name="{quoted}"', disposition=f'attachment; filename="{quoted}.png"'
    )
    message = receive(with_parts(attachment, sender=f'"{quoted}" <{CUSTOMER}>', subject=BAD))
    html = page(agent_client, message.ticket)

    assert not [a for a in elements(html) if "onerror" in a]
    assert not elements(html, "img")
    assert "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;" in html


def test_b48_a_calendar_part_with_html_is_text_or_a_file(agent_client, receive):
    message = receive(
        letter("BEGIN:VCALENDAR\r\nSUMMARY:<img src=x onerror=alert(1)>\r\n", content_type="text/calendar")
    )
    html = page(agent_client, message.ticket)

    assert not [a for a in elements(html) if "onerror" in a]


def test_plain_text_is_escaped_and_its_quotation_folded(agent_client, receive):
    text = "Neu <b>fett</b>\r\n\r\nAm 12.10.2026 um 14:10 schrieb Jana:\r\n> alt\r\n> älter\r\n"
    html = page(agent_client, receive(letter(text)).ticket)

    assert "Neu &lt;b&gt;fett&lt;/b&gt;" in html
    assert elements(html, "details")
    assert "Zitat anzeigen" in html
    assert not elements(html, "iframe")


def test_b2_a_mail_without_content_says_so(agent_client, receive):
    assert "(kein Inhalt)" in page(agent_client, receive(letter("")).ticket)


@pytest.mark.parametrize("mark", Mark.values)
def test_b29_every_mark_is_shown_in_words(agent_client, receive, mark):
    message = receive(letter())
    Ticket.objects.filter(pk=message.ticket_id).update(marks=[mark])
    html = page(agent_client, message.ticket)

    assert str(Mark(mark).label) in html
    assert mark not in html.replace(f"{Mark(mark).label}", "").split("<main")[1]


def test_b29_b62_an_imitated_sender_warns_before_answering(agent_client, receive):
    message = receive(letter(sender=f'"{SERVICE}" <evil@x.example>', subject="Eilig \u202etxt.exe"))
    html = page(agent_client, message.ticket)

    assert 'class="callout" data-tone="warn"' in html
    assert "ahmt eine unserer Adressen nach" in html
    assert "⟨U+202E⟩" in html


def test_b64_an_answer_to_somebody_else_is_announced(agent_client, receive):
    message = receive(letter(headers="Reply-To: andere@woanders.example\r\n"))
    html = page(agent_client, message.ticket)

    assert "Die Antwort geht an andere@woanders.example" in html
    assert (
        next(a for a in elements(html, "input") if a.get("name") == "to")["value"]
        == "andere@woanders.example"
    )


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_the_decision_of_the_autoresponder_stands_on_the_ticket_with_its_reason(agent_client, ticket, reason):
    services.record_event(ticket, Event.AUTOREPLY_SUPPRESSED, data={"reason": reason})
    html = page(agent_client, ticket)

    assert f"Keine automatische Antwort: {REASONS[reason]}" in html


def test_reasons_cover_what_the_import_decides():
    source = "\n".join(
        open(path, encoding="utf-8").read()  # noqa: PTH123, SIM115
        for path in ("inbound/autoresponder.py", "inbound/answers.py", "mailkit/autosubmitted.py")
    )
    missing = {code for code in REASONS if f'"{code}"' not in source}

    assert not missing


@pytest.mark.parametrize("code", Event.values)
def test_every_event_reads_as_a_sentence(agent_client, ticket, code):
    data = {
        "from": "new",
        "to": "closed",
        "cause": "mail",
        "number": "20261124-00001",
        "reason": "foreign-number",
    }
    services.record_event(ticket, code, data=data)
    html = page(agent_client, ticket)

    assert code not in html.split("<main")[1]


def test_an_event_or_mark_of_a_later_version_is_shown_as_it_stands(agent_client, ticket):
    services.record_event(ticket, "future.event")
    Ticket.objects.update(marks=["future-mark"])
    html = page(agent_client, ticket)

    assert "future.event" in html
    assert "future-mark" in html


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "queued"}, "wartet"),
        ({"state": "sent"}, "zugestellt"),
        ({"state": "failed"}, "fehlgeschlagen"),
        ({"state": "uncertain"}, "Zustellung ungewiss"),
        ({"state": "sent", "bounced_at": timezone.now()}, "als unzustellbar zurückgekommen"),
    ],
)
def test_an_answer_shows_what_became_of_it_and_links_to_the_outbox(
    agent_client, office, ticket, changes, words
):
    message = services.reply(
        ticket=ticket,
        by=office.agent,
        from_address=SERVICE,
        to=[customer_mailbox()],
        text="Wir kommen um 13 Uhr.",
    )
    OutgoingMessage.objects.update(**changes)
    html = page(agent_client, ticket)

    assert "Wir kommen um 13 Uhr." in html
    assert f'href="{message.outgoing.get_absolute_url()}">{words}</a>' in html


def test_who_may_not_see_the_outbox_row_gets_no_link_to_it(stranger_client, office, ticket):
    office.service.agents.add(office.stranger)
    message = services.reply(
        ticket=ticket, by=office.agent, from_address=SERVICE, to=[customer_mailbox()], text="x"
    )
    html = page(stranger_client, ticket)

    assert "wartet" in html
    assert message.outgoing.get_absolute_url() not in html


def test_what_is_known_about_the_sender_stands_beside_it(agent_client, office, receive):
    customer = Address.objects.create(
        number="10482", name="Stadtwerke Lüneburg", is_customer=True, phone="04131 5550"
    )
    ContactPerson.objects.create(address=customer, name="Carsten Meinhold", email=CUSTOMER)
    older = receive(letter(subject="Wartungsplanung")).ticket
    foreign = receive(letter(subject="Fremdes")).ticket
    Ticket.objects.filter(pk=foreign.pk).update(queue=office.sales)
    html = page(agent_client, receive(letter()).ticket)

    assert "Kunde 10482" in html
    assert "04131 5550" in html
    assert older.get_absolute_url() in html
    assert foreign.get_absolute_url() not in html


def test_the_number_of_queries_does_not_grow_with_messages(agent_client, office, ticket, receive):
    def grow(number: int) -> None:
        for _ in range(number):
            parent = (
                ticket.messages.exclude(message_id="")
                .order_by("-pk")
                .values_list("message_id", flat=True)
                .first()
            )
            receive(with_attachment(headers=f"In-Reply-To: <{parent}>\r\n" if parent else ""))
            services.add_note(ticket=ticket, by=office.agent, text="Notiz")
            services.reply(
                ticket=ticket, by=office.agent, from_address=SERVICE, to=[customer_mailbox()], text="x"
            )

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(agent_client, ticket)
        return len(captured)

    grow(1)
    page(agent_client, ticket)
    few = queries()
    grow(5)
    assert queries() == few


def test_a_long_conversation_shows_its_newest_messages_first(agent_client, office, ticket, monkeypatch):
    monkeypatch.setattr(conversation, "SHOWN_MESSAGES", 3)
    for number in range(5):
        services.add_note(ticket=ticket, by=office.agent, text=f"Notiz Nummer {number}")
    html, everything = page(agent_client, ticket), page(agent_client, ticket, "?all=1")

    assert "3 frühere Nachrichten zeigen" in html
    assert "Notiz Nummer 4" in html
    assert "Notiz Nummer 1" not in html
    assert "Notiz Nummer 0" in everything
    assert html.index("Notiz Nummer 2") < html.index("Notiz Nummer 4")


@pytest.mark.parametrize("query", ["", "?compose=note", "?compose=all"])
def test_every_field_has_a_name_for_those_who_hear_the_page(agent_client, ticket, query):
    html = page(agent_client, ticket, query)
    labels = {attributes.get("for") for attributes in elements(html, "label")}
    fields = [
        a for tag, a in named(html) if tag in {"input", "select", "textarea"} and a.get("type") != "hidden"
    ]

    assert fields
    for field in fields:
        assert field.get("aria-label") or field.get("id") in labels, field
    ids = [a["id"] for a in elements(html) if a.get("id")]
    assert len(ids) == len(set(ids))


def test_nothing_on_the_page_is_inline(agent_client, receive):
    html = page(agent_client, receive(html_letter('<p style="color:red">x</p>')).ticket)

    assert not [a for a in elements(html) if "style" in a or any(name.startswith("on") for name in a)]
    assert all(a.get("src") for a in elements(html, "script"))


def test_messages_of_the_database_stand_in_their_order(agent_client, ticket):
    assert TicketMessage.objects.count() == 1
    assert TicketEvent.objects.filter(ticket=ticket, code=Event.CREATED).exists()
    assert "Aus E-Mail angelegt" in page(agent_client, ticket)
