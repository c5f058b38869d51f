"""Header fields: identity, dates, threading, authentication results, and showing them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mailkit import limits
from mailkit.authresults import authentication_verdict
from mailkit.dates import sent_at
from mailkit.headers import visible
from mailkit.threading import (
    message_ids,
    normalise_message_id,
    strip_reply_prefixes,
    subject_base,
    ticket_number_in_subject,
)
from tests.mailkit.corpus import message, parsed_mail

ARRIVAL = datetime(2026, 11, 24, 9, 5, tzinfo=UTC)


@pytest.mark.parametrize("name", ["b28-no-date", "b28-date-1970", "b28-date-2099", "b28-date-garbage"])
def test_b28_implausible_dates_give_way_to_the_arrival(name):
    assert sent_at(parsed_mail(name).date, ARRIVAL) == ARRIVAL


def test_b28_plausible_date_is_kept_in_utc():
    date = message().date
    assert date == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert date.tzinfo is UTC
    assert sent_at(date, ARRIVAL) == date


@pytest.mark.parametrize(
    "value",
    [
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Tue, 99 Nov 2026 10:00:00 +0100",
        "1",
        "\x00",
        "Tue, 24 Nov 99999999999999999999 1:1:1",
    ],
)
def test_b28_garbage_dates_never_raise(value):
    assert message(f"Date: {value}").date is None


def test_b29_direction_and_width_tricks_are_written_out():
    subject = parsed_mail("b29-rtl-override-subject").subject
    assert visible(subject) == "Rechnung ⟨U+202E⟩gpj.exe⟨U+200B⟩"
    assert visible("Grüße – 5 € 日本 🙂") == "Grüße – 5 € 日本 🙂"


def test_b49_markup_in_subject_stays_text_for_the_caller_to_escape():
    assert parsed_mail("b49-markup-in-metadata").subject == '"><img src=x onerror=alert(1)>'


def test_b59_formulas_are_kept_as_written():
    assert parsed_mail("b59-formula").subject.startswith("@SUM(1+1)")


def test_b67_untrusted_authentication_results_are_ignored():
    headers = parsed_mail("b67-forged-authentication-results").headers
    assert authentication_verdict(headers, ["mx.erp.example"]) == "none"
    assert authentication_verdict(headers, []) == "none"


def test_b67_only_the_topmost_field_of_the_trusted_server_counts():
    headers = parsed_mail("b67-trusted-authentication-results").headers
    assert authentication_verdict(headers, ["MX.erp.example"]) == "fail"


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ("spf=pass smtp.mailfrom=x; dkim=fail", "pass"),
        ("spf=fail; dkim=none", "fail"),
        ("spf=softfail", "none"),
        ("dkim=pass; spf=pass; dmarc=fail", "fail"),
        ("dkim=fail; dmarc=pass", "pass"),
        ("none", "none"),
        ("spf=none (dmarc=pass; dkim=pass)", "none"),
    ],
)
def test_b67_verdicts(results, verdict):
    headers = message(f"Authentication-Results: mx.erp.example; {results}").headers
    assert authentication_verdict(headers, {"mx.erp.example"}) == verdict


def test_b68_control_fields_are_nothing_but_fields():
    parsed = parsed_mail("b68-control-header")
    assert parsed.headers.get("X-ERP-Ticket-Queue") == "Chef"
    assert parsed.subject == "Bestellung 4711"


def test_b71_missing_message_id():
    parsed = parsed_mail("b71-no-message-id")
    assert parsed.message_id is None
    assert "missing-message-id" in parsed.defects


def test_b72_hostile_message_ids_are_one_word_and_flagged():
    parsed = parsed_mail("b72-message-id-quote")
    assert parsed.message_id.startswith('x"X1')
    assert not any(c.isspace() for c in parsed.message_id)
    assert parsed.defects == ["invalid-message-id"]


def test_b72_message_id_of_ten_kilobytes_is_cut():
    parsed = parsed_mail("b72-message-id-long")
    assert len(parsed.message_id) == limits.MAX_MESSAGE_ID_CHARS
    assert parsed.defects == ["invalid-message-id"]


def test_headers_view_ignores_case_and_keeps_order():
    headers = message("X-A: eins", "x-a: =?utf-8?q?zw=C3=B6?=", "X-B:\r\n gefaltet\r\n\tzweimal").headers
    assert headers.get("x-A") == "eins"
    assert headers.all("X-A") == ["eins", "zwö"]
    assert headers.get("X-B") == "gefaltet zweimal"
    assert headers.get("X-C") is None
    assert headers.get("X-C", "leer") == "leer"
    assert "x-b" in headers
    assert [name for name, _ in headers.items()][:3] == ["X-A", "x-a", "X-B"]


def test_references_keep_the_root_and_the_newest():
    ids = [f"m{n}@kunde.example" for n in range(1000)]
    found = message_ids(" ".join(f"<{i}>" for i in ids))
    assert len(found) == limits.MAX_REFERENCES
    assert (found[0], found[-1]) == (ids[0], ids[-1])


def test_message_ids_in_all_their_forms():
    assert message_ids("<a@x> <b@x>\t<a@x>") == ["a@x", "b@x"]
    assert message_ids("Ihre Nachricht vom Montag <a@x>") == ["a@x"]
    assert message_ids("a@x") == ["a@x"]
    assert message_ids("keine") == []
    assert normalise_message_id(" <a @x> ") == "a@x"
    parsed = message("In-Reply-To: <a@x>", "References: <r@x>\r\n <a@x>")
    assert (parsed.in_reply_to, parsed.references) == ("a@x", ["r@x", "a@x"])


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("AW: Re: WG: Angebot", "Angebot"),
        ("Re[2]: Angebot", "Angebot"),
        ("AW(3): Fwd: Angebot", "Angebot"),
        ("Antw: Angebot", "Angebot"),
        ("SV: Angebot", "Angebot"),
        ("Rechnung: AW 5", "Rechnung: AW 5"),
        ("Reklamation: kaputt", "Reklamation: kaputt"),
        ("", ""),
    ],
)
def test_reply_prefixes(subject, bare):
    assert strip_reply_prefixes(subject) == bare


def test_subject_base_compares_threads():
    assert subject_base("AW: [#20261124-00042] Re:  Angebot  7") == subject_base("angebot 7")


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("AW: [#20261124-00042] Angebot", "20261124-00042"),
        ("Ticket 20261124-00042", "20261124-00042"),
        ("[20261124-00042]", "20261124-00042"),
        ("#20261124-00042: Frage", "20261124-00042"),
        ("20261324-00042", None),
        ("120261124-00042", None),
        ("20261124-000421", None),
        ("RG-20261124-00042-7", None),
        ("Angebot", None),
    ],
)
def test_ticket_numbers(subject, number):
    assert ticket_number_in_subject(subject) == number


def test_b68_encoded_words_bring_no_line_end_and_no_nul_into_a_field():
    headers = parsed_mail("b68-encoded-line-ends").headers
    assert headers.get("subject") == "Eins Bcc: x@evil.example"
    assert headers.all("x-note") == ["ab c😀"]
    assert dict(headers.items())["X-Note"] == "ab c😀"
