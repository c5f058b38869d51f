"""Address fields as they arrive, and addresses as they may be used."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import limits
from mailkit.addresses import Address, is_valid, normalise, parse_addresses, strip_tag, validate
from mailkit.autosubmitted import autoreply_suppression_reason
from mailkit.defects import Defects
from mailkit.errors import InvalidAddress
from tests.mailkit.corpus import message, parsed_mail


def parse(value: str) -> list[tuple[str, str]]:
    return [(a.name, a.address) for a in parse_addresses(value, Defects())]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("anna@kunde.example", [("", "anna@kunde.example")]),
        ('"Weiß, Anna" <anna@kunde.example>', [("Weiß, Anna", "anna@kunde.example")]),
        (
            "Anna Weiß <anna@kunde.example>, bernd@x.example",
            [("Anna Weiß", "anna@kunde.example"), ("", "bernd@x.example")],
        ),
        ("anna@kunde.example (Anna (Einkauf) Weiß)", [("Anna (Einkauf) Weiß", "anna@kunde.example")]),
        (
            "Team: a@x.example, B <b@x.example>; c@x.example",
            [("", "a@x.example"), ("B", "b@x.example"), ("", "c@x.example")],
        ),
        ("undisclosed-recipients:;", []),
        ("a@x.example; b@x.example", [("", "a@x.example"), ("", "b@x.example")]),
        ("<@relay.example:a@x.example>", [("", "a@x.example")]),
        ("=?utf-8?q?J=C3=B6rg?= <j@x.example>", [("Jörg", "j@x.example")]),
        ("'Anna' <a@x.example>", [("Anna", "a@x.example")]),
        ("Anna <a@x.example", [("Anna", "a@x.example")]),
        ('"a b"@x.example', [("", '"a b"@x.example')]),
        ("müller@bäckerei.example", [("", "müller@bäckerei.example")]),
        ("a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        ("<>", []),
        ("kein Absender", []),
        ("a@b@c.example", []),
        (",,;, <a@x.example>,", [("", "a@x.example")]),
    ],
)
def test_address_lists(value, found):
    assert parse(value) == found


@pytest.mark.parametrize("name", ["b60-two-from-fields", "b60-two-authors"])
def test_b60_two_authors_are_flagged_and_not_answered(name):
    parsed = parsed_mail(name)
    assert parsed.from_.address == "anna@kunde.example"
    assert "several-from" in parsed.defects
    assert autoreply_suppression_reason(parsed) == "several-from"


@pytest.mark.parametrize(
    ("name", "defect"),
    [("b60-no-from", "missing-from"), ("b60-group-from", "invalid-from"), ("b60-null-from", "invalid-from")],
)
def test_b60_no_author_is_flagged_and_not_answered(name, defect):
    parsed = parsed_mail(name)
    assert parsed.from_ is None
    assert defect in parsed.defects
    assert autoreply_suppression_reason(parsed) == "no-valid-from"


def test_b61_address_in_angle_brackets_counts():
    parsed = parsed_mail("b61-address-in-display-name")
    assert parsed.from_ == Address("ceo@firma.example", "evil@x.example")
    assert "address-in-display-name" in parsed.defects


def test_b61_address_hidden_in_an_encoded_word_stays_a_name():
    parsed = message("From: =?utf-8?q?chef=40firma.example=2C?= <evil@x.example>")
    assert parsed.from_.address == "evil@x.example"
    assert "address-in-display-name" in parsed.defects


def test_b62_our_own_address_as_name_is_flagged():
    parsed = parsed_mail("b62-own-address-as-name")
    assert parsed.from_.address == "evil@x.example"
    assert "address-in-display-name" in parsed.defects


def test_own_address_as_own_name_is_no_defect():
    assert message('From: "anna@kunde.example" <Anna@kunde.example>').defects == []


def test_b63_encoded_local_part_is_invalid():
    parsed = parsed_mail("b63-encoded-local-part")
    assert parsed.from_ is None
    assert parsed.defects == ["invalid-from"]


def test_b64_reply_to_is_kept_apart_from_the_author():
    parsed = parsed_mail("b64-reply-to-elsewhere")
    assert parsed.reply_to == [Address("Kasse", "kasse@anders.example")]
    assert parsed.from_.address == "anna@kunde.example"


def test_b74_ten_thousand_recipients_are_cut():
    recipients = ",\r\n ".join(f"Kunde {n} <k{n}@kunde.example>" for n in range(10_000))
    started = time.perf_counter()
    parsed = message(f"To: {recipients}", f"Cc: {recipients}")
    assert time.perf_counter() - started < 2
    assert len(parsed.to) == len(parsed.cc) == limits.MAX_ADDRESSES
    assert "too-many-addresses" in parsed.defects


@pytest.mark.parametrize(
    "hostile",
    [
        '"' * 100_000,
        "(" * 100_000,
        "<" * 100_000,
        "a@b," * 100_000,
        "\\" * 100_000,
        '"\\' * 60_000,
        "x (" * 40_000,
        "a@" * 60_000,
        "=?" * 60_000,
    ],
)
def test_b27_hostile_address_fields_cost_linear_time(hostile):
    started = time.perf_counter()
    parse_addresses(hostile, Defects())
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "address",
    [
        "a",
        "@x.example",
        "a@",
        "a b@x.example",
        "a@x .example",
        "a\r\n@x.example",
        "a\0@x",
        "a..b@x.example",
        "a@x.example\nBcc: b@x.example",
        ".a@x.example",
        "a@-x.example",
        "a@x..example",
        "a\u200b@x.example",
        "a\u202e@x.example",
        "=?utf-8?q?a=40b?=@x.example",
        "a@" + "x" * 64 + ".example",
        "a@b@c",
        "a" * 65 + "@x.example",
        "a@[1.2.3.4.5]",
        "a@[fe80::1%x]",
        "a@x\u2044y.example",
        "<a@x.example>",
    ],
)
def test_b63_invalid_addresses_are_refused(address):
    with pytest.raises(InvalidAddress):
        validate(address)
    assert not is_valid(address)


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("Anna.Weiss+bestellung@Kunde.example", "Anna.Weiss+bestellung@Kunde.example"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@straße.example", "a@xn--strae-oqa.example"),
        ("a@日本.example", "a@xn--wgv71a.example"),
        ("o'brien@x.example", "o'brien@x.example"),
    ],
)
def test_domains_become_a_labels(address, wire):
    assert validate(address) == wire


def test_comparison_forms():
    assert normalise(" Anna@KUNDE.example ") == "anna@kunde.example"
    assert normalise("a@BÜCHER.example") == normalise("a@xn--bcher-kva.example")
    assert normalise('"anna"@kunde.example') == "anna@kunde.example"
    assert normalise("a@straße.example") != normalise("a@strasse.example")
    assert strip_tag("Support+4711@ERP.example") == "support@erp.example"
    assert strip_tag("+@erp.example") == "+@erp.example"
    assert strip_tag("kein Absender") == "kein absender"


@given(st.text(max_size=200))
def test_whatever_is_found_is_valid(value):
    for address in parse_addresses(value, Defects()):
        assert is_valid(address.address)
        assert "\n" not in address.name


def test_delivered_to_and_return_path():
    parsed = message(
        "Return-Path: <bounce+1@kunde.example>",
        "Delivered-To: support@erp.example",
        "X-Original-To: sales@erp.example",
    )
    assert parsed.return_path == "bounce+1@kunde.example"
    assert parsed.delivered_to == ["support@erp.example", "sales@erp.example"]
    assert message("Return-Path: <>").return_path == ""
    assert message().return_path is None
