"""Structure of messages: what is damaged is read as far as it goes, what is monstrous is refused early."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from mailkit import limits
from mailkit.errors import MalformedMessage
from mailkit.parsing import parse_message
from tests.mailkit.corpus import multipart, nested_messages, nested_multiparts, parsed_mail, raw_mail

TEXT = "Content-Type: text/plain\n\nHallo"


def refused(raw: bytes) -> str:
    with pytest.raises(MalformedMessage) as caught:
        parse_message(raw)
    return caught.value.code


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"  \r\n\t\r\n", raw_mail("b01-blank-lines-only")])
def test_b1_empty_message_is_refused(raw):
    assert refused(raw) == "empty"


def test_b2_header_without_body_is_a_message_without_text():
    parsed = parsed_mail("b02-headers-only")
    assert (parsed.subject, parsed.text, parsed.attachments) == ("Bestellung 4711", "", [])


@pytest.mark.parametrize("name", ["b03-lone-lf", "b03-lone-cr"])
def test_b3_bare_line_ends_read_like_crlf(name):
    parsed = parsed_mail(name)
    assert parsed.text == "Guten Tag,\n\nbitte senden Sie uns die Auftragsbestätigung.\n\nAnna Weiß\n"
    assert parsed.from_.name == "Anna Weiß"


def test_b3_mixed_line_ends_become_lf_and_raw_stays():
    raw = raw_mail("b03-mixed-line-ends")
    before = bytes(raw)
    assert parse_message(raw).text == "Zeile 1\nZeile 2\nZeile 3\nZeile 4"
    assert raw == before


def test_b4_nuls_are_removed():
    parsed = parsed_mail("b04-nul-bytes")
    assert (parsed.subject, parsed.text) == ("Bestellung", "vornach\n")
    assert "nul-removed" in parsed.defects


def test_b5_header_line_of_one_megabyte_is_cut_in_the_view():
    raw = b"X-Trace: " + b"x" * 1_000_000 + b"\r\nSubject: da\r\nFrom: a@kunde.example\r\n\r\nText"
    parsed = parse_message(raw)
    assert (parsed.subject, parsed.text) == ("da", "Text")
    assert len(parsed.headers.get("x-trace")) == limits.MAX_HEADER_VALUE_BYTES - 1
    assert "header-cut" in parsed.defects


def test_b6_hundred_thousand_headers_are_refused():
    assert refused(b"X-A: 1\r\n" * 100_000 + b"\r\nText") == "too-many-headers"
    assert refused(b"X-A: 1\r\n" * (limits.MAX_HEADER_FIELDS + 1) + b"\r\nText") == "too-many-headers"


def test_b6_a_field_of_sixty_thousand_lines_is_refused():
    assert refused(b"X-A: 1\r\n" + b" x\r\n" * 60_000 + b"\r\nText") == "too-many-headers"


def test_b6_headers_of_all_parts_count_together():
    part = "X-A: 1\n" * 1_900 + "\nText"
    assert refused(multipart([part] * 11)) == "too-many-headers"


@pytest.mark.parametrize("raw", [nested_multiparts(1000), nested_messages(1000)])
def test_b7_nesting_a_thousand_deep_is_refused(raw):
    assert refused(raw) == "too-deep"


def test_b7_sixty_levels_are_read():
    assert "unten" in parse_message(nested_multiparts(60)).text


def test_b8_twenty_thousand_parts_are_refused_quickly():
    raw = multipart([TEXT] * 20_000)
    started = time.perf_counter()
    assert refused(raw) == "too-many-parts"
    assert time.perf_counter() - started < 2


def test_b8_parts_of_all_multiparts_count_together():
    inner = (
        multipart([TEXT] * 700, boundary="inner")
        .decode()
        .replace("\r\n", "\n")
        .removeprefix("From: a@kunde.example\n")
    )
    assert refused(multipart([inner] * 3)) == "too-many-parts"


def test_b8_t14_a_million_delimiters_cost_no_memory():
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 1_000_000
    tracemalloc.start()
    try:
        assert refused(raw) == "too-many-parts"
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_b9_missing_boundary_parameter_is_guessed():
    parsed = parsed_mail("b09-boundary-parameter-missing")
    assert parsed.text == "Text da."
    assert [a.filename for a in parsed.attachments] == ["Angebot.pdf"]
    assert parsed.defects == ["boundary-missing"]


def test_b10_boundary_that_does_not_occur_leaves_text():
    parsed = parsed_mail("b10-boundary-not-in-body")
    assert parsed.text == "Nur Text, keine Teile.\n"
    assert parsed.defects == ["boundary-not-found"]


def test_b10_boundary_that_differs_is_guessed():
    assert parsed_mail("b10-boundary-differs").text == "Trotzdem lesbar."


def test_b10_unclosed_multipart_keeps_its_last_part():
    parsed = parsed_mail("b10-boundary-unclosed")
    assert [(a.filename, a.size) for a in parsed.attachments] == [("Angebot.pdf", 272)]
    assert "boundary-unclosed" in parsed.defects


def test_b11_parent_boundary_that_begins_the_childs():
    parsed = parsed_mail("b11-boundary-is-prefix")
    assert parsed.text.startswith("Guten Tag")
    assert parsed.html == "<p>Hallo</p>"
    assert [a.filename for a in parsed.attachments] == ["Angebot.pdf"]


def test_b12_first_of_two_content_types_wins():
    parsed = parsed_mail("b12-two-content-types")
    assert (parsed.text, parsed.html) == ("<b>bleibt Text</b>\n", "")
    assert parsed.defects == ["two-content-types"]


def test_b13_first_of_two_boundaries_wins():
    parsed = parsed_mail("b13-two-boundaries")
    assert parsed.text.startswith("Erster Teil")
    assert parsed.defects == ["two-boundaries"]


def test_b21_fifty_nested_messages_are_one_attachment():
    parsed = parsed_mail("b21-attached-50-deep")
    (attached,) = parsed.attachments
    assert (attached.filename, attached.content_type) == ("Stufe 48.eml", "message/rfc822")
    assert parse_message(attached.content).subject == "Stufe 48"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("b22-zip-bomb", "application/zip"),
        ("b23-winmail-dat", "application/ms-tnef"),
        ("b24-external-body", "message/external-body"),
        ("b25-message-partial", "message/partial"),
    ],
)
def test_b22_b23_b24_b25_containers_stay_closed(name, content_type):
    parsed = parsed_mail(name)
    assert [a.content_type for a in parsed.attachments] == [content_type]
    assert parsed.html == ""


def test_b26_t14_sixty_megabytes_of_less_than_within_time_and_memory():
    raw = b"From: a@kunde.example\r\nContent-Type: text/html\r\n\r\n" + b"<" * 60_000_000
    tracemalloc.start()
    started = time.perf_counter()
    parsed = parse_message(raw)
    elapsed = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert elapsed < 15
    assert peak < 150_000_000  # beside the 60 MB the caller holds
    assert len(parsed.html) == limits.MAX_BODY_BYTES
    assert "body-cut" in parsed.defects


def test_b26_sixty_megabytes_without_any_header():
    assert "garbage-in-header" in parse_message(b"<" * 60_000_000).defects


def test_t14_larger_than_the_limit_is_refused():
    assert refused(b"Subject: x\r\n\r\n" + b"x" * limits.MAX_MESSAGE_BYTES) == "too-large"


def test_b46_html_parts_are_never_joined_as_markup():
    parsed = parsed_mail("b46-efail")
    assert '"' not in parsed.html.removeprefix('<img src="')


def test_b48_calendar_is_an_attachment_not_text():
    parsed = parsed_mail("b48-calendar-with-html")
    assert parsed.html == ""
    assert "onerror" not in parsed.text
    assert [a.content_type for a in parsed.attachments] == ["text/calendar"]


def test_b57_thousand_attachments_are_refused():
    part = "Content-Type: application/pdf\nContent-Disposition: attachment; filename=a.pdf\n\nx"
    assert refused(multipart([TEXT] + [part] * 1000)) == "too-many-attachments"
    assert len(parse_message(multipart([TEXT] + [part] * 400)).attachments) == 400


def test_whitespace_after_a_boundary_costs_linear_time():
    raw = multipart([TEXT]) + b"\r\n--grenze" + b" " * 1_000_000 + b"x\r\n--grenze-- \r\n"
    started = time.perf_counter()
    parse_message(raw)
    assert time.perf_counter() - started < 2


def test_text_around_a_picture_stays_in_order():
    parsed = parsed_mail("ok-apple-mail")
    assert parsed.text == "Vor dem Bild.\nNach dem Bild."
    assert [(a.filename, a.is_inline) for a in parsed.attachments] == [("foto.png", False)]


def test_list_footer_is_seen_in_text_and_html():
    parsed = parsed_mail("ok-list-footer")
    assert parsed.text.endswith("-- Liste <werkzeug>")
    assert parsed.html == "<p>Guten Tag</p><div>-- Liste &lt;werkzeug&gt;</div>"


def test_html_only_mail_gets_a_text():
    text = parsed_mail("ok-html-only").text
    assert text.split("\n") == [
        "Bestellung",
        "",
        "Bitte bestätigen <https://kunde.example/b/1>.",
        "",
        "- Schrauben",
        "- Muttern",
        "",
        "M8  12,50 €",
        "",
        "> alt",
    ]


def test_missing_blank_line_after_the_header():
    parsed = parsed_mail("ok-no-blank-line")
    assert parsed.text == "Dies ist schon der Text\nund geht weiter\n"
    assert parsed.message_id == "ok-no-blank-line@kunde.example"


def test_mbox_line_on_top_is_skipped():
    assert parsed_mail("ok-mbox-from-line").from_.address == "anna@kunde.example"


def test_signature_of_signed_mail_is_an_attachment():
    parsed = parsed_mail("ok-flowed-signature")
    assert [a.filename for a in parsed.attachments] == ["signature.asc"]


def test_b11_boundary_in_the_middle_of_a_line_is_text():
    parsed = parse_message(multipart(["Content-Type: text/plain\n\nsiehe --grenze\nund --grenze--\nweiter"]))
    assert parsed.text == "siehe --grenze\nund --grenze--\nweiter"
