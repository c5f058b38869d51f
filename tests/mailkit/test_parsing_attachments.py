"""Attachments: what they are called, what they claim to be, which of them the text shows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.filenames import MAX_FILENAME_CHARS, safe_filename
from tests.mailkit.corpus import parsed_mail


def only_name(name: str) -> str:
    (attachment,) = parsed_mail(name).attachments
    return attachment.filename


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ("b50-path", "x"),
        ("b50-windows-path", "Angebot.pdf"),
        ("b51-hidden-htaccess", "htaccess"),
        ("b52-percent-nul", "x.php_00.png"),
        ("b52-trailing-dots", "rechnung.exe"),
        ("b53-reserved", "_CON.txt"),
        ("b53-emoji", "Angebot 📄.pdf"),
        ("b54-rfc2231-out-of-order", "Übersicht.pdf"),
        ("b54-rfc2231-gap", "Angebot.pdf"),
        ("b54-two-filenames", "neu.pdf"),
        ("b55-crlf-in-filename", "a.pdf Set-Cookie_ x"),
    ],
)
def test_b50_b51_b52_b53_b54_b55_names_are_flattened(name, filename):
    assert only_name(name) == filename


def test_b53_long_name_keeps_its_extension():
    name = only_name("b53-long")
    assert len(name) == MAX_FILENAME_CHARS
    assert name.endswith("a.pdf")


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("Rechnung\u202efdp.exe", "Rechnungfdp.exe"),
        ("\ufeff..\\..\\web.config", "web.config"),
        ("a\x00b\x1f.txt", "ab.txt"),
        ("nul", "_nul"),
        ("LPT1.pdf", "_LPT1.pdf"),
        ("Console.log", "Console.log"),
        ("…/", "…"),
        ("\u200b.. .", "fallback"),
        ("/", "fallback"),
        ("", "fallback"),
        ("ordner／geheim.txt", "geheim.txt"),
        ('a"b<c>|?.txt', "a_b_c___.txt"),
    ],
)
def test_b50_b51_b53_odd_names(given_name, safe):
    assert safe_filename(given_name, "fallback") == safe


@given(st.text(max_size=300))
def test_any_name_becomes_one_harmless_path_part(name):
    safe = safe_filename(name, "fallback")
    assert 0 < len(safe) <= MAX_FILENAME_CHARS
    assert not re.search(r'[/\\:*?"<>|%\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e]', safe)
    assert not safe.startswith(".")
    assert not safe.endswith((".", " "))
    assert safe_filename(safe, "fallback") == safe


def test_b43_both_parts_of_one_content_id_are_marked_inline_with_their_types():
    parsed = parsed_mail("b43-cid-to-html")
    assert [(a.content_id, a.content_type, a.is_inline) for a in parsed.attachments] == [
        ("logo@k", "image/png", True),
        ("logo@k", "text/html", True),
    ]


def test_b49_markup_in_the_type_is_no_type():
    parsed = parsed_mail("b49-markup-in-metadata")
    (attachment,) = parsed.attachments
    assert attachment.content_type == "text/plain"
    assert not re.search(r'[<>"]', attachment.filename)
    assert "invalid-content-type" in parsed.defects


def test_b56_claimed_type_and_name_are_reported_as_they_are():
    (attachment,) = parsed_mail("b56-html-as-png").attachments
    assert (attachment.filename, attachment.content_type) == ("bild.html", "image/png")


def test_b58_content_is_bytes_and_nothing_else_happens_to_it():
    (attachment,) = parsed_mail("b58-eicar-name").attachments
    assert attachment.content == b"EICAR test file stands here"
    assert attachment.size == len(attachment.content)


def test_repr_of_an_attachment_holds_no_content():
    (attachment,) = parsed_mail("b58-eicar-name").attachments
    assert "EICAR" not in repr(attachment)
