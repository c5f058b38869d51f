"""The new text of a reply, as English and German mailers mark what they quote."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.quoting import split_quote, strip_quote

NEW = "Hallo,\n\nja, das passt so."

QUOTATIONS = {
    "thunderbird": "Am 24.11.2026 um 10:00 schrieb Support:\n> Passt das?\n> Gruß",
    "thunderbird-english": "On 24/11/2026 10:00, Support wrote:\n> Does it?",
    "gmail-wrapped": (
        "On Tue, 24 Nov 2026 at 10:00, Support Team GmbH & Co. KG\n<support@erp.example> wrote:\n\n> Does it?"
    ),
    "gmail-german": (
        "Am Di., 24. Nov. 2026 um 10:00 Uhr schrieb Support <support@erp.example>:\n\n> Passt das?"
    ),
    "apple-german": "Am 24.11.2026 um 10:00 schrieb Support <support@erp.example>:\n\n> \n> Passt das?",
    "apple-forward": (
        "Anfang der weitergeleiteten Nachricht:\n\nVon: Support <support@erp.example>\nBetreff: x\n\nalt"
    ),
    "outlook-german": (
        "Von: Support <support@erp.example>\nGesendet: Dienstag, 24. November 2026 10:00\n"
        "An: Anna\nBetreff: AW: x\n\nalt"
    ),
    "outlook-english": (
        "From: Support <support@erp.example>\nSent: Tuesday, 24 November 2026 10:00\n"
        "To: Anna\nSubject: x\n\nold"
    ),
    "outlook-bold": "*Von:* Support\n*Gesendet:* Dienstag\n*An:* Anna\n*Betreff:* x\n\nalt",
    "outlook-rule": ("________________________________\n\nVon: Support\nGesendet: Dienstag\nAn: Anna\n\nalt"),
    "outlook-original": "-----Ursprüngliche Nachricht-----\nVon: Support\nalt",
    "outlook-express": "----- Original Message -----\nFrom: Support\nold",
    "gmx": (
        "Gesendet: Dienstag, 24. November 2026 um 10:00 Uhr\n"
        'Von: "Support" <support@erp.example>\nAn: anna@gmx.example\nBetreff: x\n\nalt'
    ),
    "webde-attribution": "Support <support@erp.example> schrieb am 24.11.2026, 10:00 Uhr:\n\n> alt",
    "t-online": (
        "-----Original-Nachricht-----\nBetreff: x\nDatum: 2026-11-24\nVon: Support\nAn: Anna\n\nalt"
    ),
    "bare": "> Passt das?\n> Gruß",
}


@pytest.mark.parametrize("mailer", QUOTATIONS)
def test_quotation_below_is_cut(mailer):
    assert split_quote(f"{NEW}\n\n{QUOTATIONS[mailer]}\n") == (NEW, QUOTATIONS[mailer])
    assert (
        strip_quote(f"{NEW}\r\n\r\n{QUOTATIONS[mailer]}".replace("\n", "\r\n").replace("\r\r", "\r")) == NEW
    )


def test_signature_is_folded_with_the_quotation():
    new, rest = split_quote(f"{NEW}\n\n-- \nAnna Weiß\nKunde GmbH\n\n> alt\n")
    assert new == NEW
    assert rest == "-- \nAnna Weiß\nKunde GmbH\n\n> alt"


def test_answer_below_the_quotation():
    new, rest = split_quote(f"{QUOTATIONS['thunderbird']}\n\n{NEW}\n-- \nAnna")
    assert new == NEW
    assert "> Passt das?" in rest
    assert rest.startswith("-- ")


def test_answers_between_quoted_lines_keep_their_questions():
    text = "Am 24.11.2026 schrieb Support:\n> Farbe?\nBlau.\n> Menge?\nDrei."
    assert split_quote(text) == (text, "")


@pytest.mark.parametrize(
    "text",
    [
        "> nur ein Zitat",
        QUOTATIONS["gmx"],
        "",
        "Von: mir\nAn: dich\nein Gedicht",
        "Am Montag schrieb ich Ihnen.",
        "a -- b",
        "-- \nnur Signatur",
        "On time, as always.\nThank you",
        "Betreff: Rechnung\nbitte senden",
    ],
)
def test_words_are_never_hidden_on_a_guess(text):
    assert split_quote(text) == (text, "")


@given(
    st.lists(
        st.sampled_from(
            ["> a", "b", "", "-- ", "Von: x", "An: y", "Betreff: z", "Am 1.1. schrieb X:", "On 1", "_" * 30]
        )
    )
)
def test_no_line_is_lost_and_the_new_text_is_never_empty(lines):
    new, rest = split_quote("\n".join(lines))
    kept = [line for line in (new + "\n" + rest).split("\n") if line.strip()]
    assert sorted(line.rstrip() for line in kept) == sorted(line.rstrip() for line in lines if line.strip())
    assert bool(new.strip()) == any(line.strip() for line in lines)


@pytest.mark.parametrize(
    "hostile",
    [
        "> a\nb\n" * 100_000,
        "On 1\n" * 200_000,
        "Von: x\n" * 100_000,
        "a" * 3_000_000,
        "-- \n" * 300_000,
        "On 1 " * 400_000,
        "<a@b>" * 200_000,
        " " * 2_000_000,
        "-" * 2_000_000,
    ],
)
def test_b27_hostile_text_costs_linear_time(hostile):
    started = time.perf_counter()
    split_quote(hostile)
    assert time.perf_counter() - started < 5


def test_b26_millions_of_blank_lines_are_not_searched_for_quotations():
    text = "Ja\n" + "\n" * 20_000_000 + "> alt\n"
    started = time.monotonic()
    assert split_quote(text) == (text.strip("\n"), "")
    assert time.monotonic() - started < 5
