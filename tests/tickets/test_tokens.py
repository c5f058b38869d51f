"""Tokens in our Message-IDs (T4, T5)."""

from __future__ import annotations

from datetime import date

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from tickets.tokens import make_message_id, ticket_of

NUMBER = "20261124-00042"


@given(st.dates(min_value=date(2020, 1, 1)), st.integers(1, 9_999_999))
def test_t5_a_token_names_its_ticket_whatever_gateways_do_to_its_case(day, sequence):
    number = f"{day:%Y%m%d}-{sequence:05d}"
    message_id = make_message_id(number, "brandis.example")
    assert ticket_of(message_id) == number
    assert ticket_of(message_id.upper()) == number
    assert len(message_id.split("@")[0]) <= 64


def test_two_mails_of_a_ticket_have_different_ids():
    assert make_message_id(NUMBER, "brandis.example") != make_message_id(NUMBER, "brandis.example")


@given(st.text(max_size=80))
def test_t4_nothing_that_was_made_up_is_a_token(text):
    assert ticket_of(text) is None
    assert ticket_of(f"t{text}@brandis.example") is None


def test_t4_a_token_moved_to_another_ticket_or_nonce_is_worthless():
    ours = make_message_id(NUMBER, "brandis.example")
    other = make_message_id("20261124-00043", "brandis.example")
    ticket, nonce, mac = ours.split("@")[0].split(".")
    other_ticket, other_nonce, _ = other.split("@")[0].split(".")
    assert ticket_of(f"{other_ticket}.{nonce}.{mac}@brandis.example") is None
    assert ticket_of(f"{ticket}.{other_nonce}.{mac}@brandis.example") is None


def test_t4_another_installation_cannot_make_our_tokens():
    with override_settings(SECRET_KEY="another-installation-" + "x" * 40):
        foreign = make_message_id(NUMBER, "brandis.example")
    assert ticket_of(foreign) is None


def test_tokens_outlive_a_change_of_the_secret_key(settings):
    old = make_message_id(NUMBER, "brandis.example")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the-new-key-" + "y" * 40
    assert ticket_of(old) == NUMBER


@pytest.mark.parametrize("domain", ["brandis.example", "mx.brandis.example"])
def test_the_domain_is_the_callers(domain):
    assert make_message_id(NUMBER, domain).endswith(f"@{domain}")
