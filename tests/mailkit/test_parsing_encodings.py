"""Transfer encodings and character sets, sound, damaged and mislabelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import charsets, transfer
from tests.mailkit.corpus import message, parsed_mail


def test_b14_truncated_base64_yields_what_is_there():
    parsed = parsed_mail("b14-truncated-base64")
    assert parsed.text == "Guten Tag, alles gut."
    assert parsed.defects == ["truncated-base64"]


def test_b14_dirty_base64_is_cleaned():
    parsed = parsed_mail("b14-dirty-base64")
    assert parsed.attachments[0].content.startswith(b"%PDF-1.4\n\x00\x01")
    assert parsed.attachments[0].size == 272
    assert parsed.defects == ["dirty-base64"]


def test_b14_two_streams_are_both_decoded():
    assert parsed_mail("b14-joined-base64").text == "Erster Satz. Zweiter Satz."


@pytest.mark.parametrize(
    ("data", "content", "defect"),
    [
        (b"9Cw=0", b"\xf4,", "truncated-base64"),
        (b"UEc=\r\na", b"PG", "truncated-base64"),
        (b"rBI=\r\nBI=\r\n", b"\xac\x12", None),
        (b"+amHiyI=a", b'\xf9\xa9\x87\x8b"', "truncated-base64"),
    ],
)
def test_b14_base64_ends_at_its_padding(data, content, defect):
    assert transfer.decode_base64(data) == (content, defect)


@given(st.binary(max_size=400), st.integers(4, 76), st.sampled_from([b"\n", b"\r\n"]))
def test_base64_round_trip_in_any_line_length(data, width, eol):
    encoded = transfer.binascii.b2a_base64(data, newline=False)
    lines = eol.join(encoded[at : at + width] for at in range(0, len(encoded), width))
    assert transfer.decode_base64(lines + eol) == (data, None)


@given(st.binary(max_size=300))
def test_broken_transfer_encodings_never_raise(data):
    assert isinstance(transfer.decode_base64(data)[0], bytes)
    assert isinstance(transfer.decode_quoted_printable(data)[0], bytes)


def test_b15_invalid_quoted_printable_stays_as_written():
    parsed = parsed_mail("b15-invalid-quoted-printable")
    assert parsed.text == "Preis = 5 Äpfel =ZZ =4\n"
    assert parsed.defects == ["invalid-quoted-printable"]


def test_b15_blanks_after_a_soft_break_are_forgiven():
    assert transfer.decode_quoted_printable(b"eine =  \r\nZeile") == (b"eine Zeile", None)


@pytest.mark.parametrize(("name", "start"), [("b16-uuencode", "Anbei:"), ("b16-yenc", "=ybegin")])
def test_b16_uuencode_and_yenc_stay_text(name, start):
    parsed = parsed_mail(name)
    assert parsed.text.startswith(start)
    assert parsed.attachments == []


@pytest.mark.parametrize(
    ("name", "text", "defect"),
    [
        ("b17-unknown-charset", "Grüße aus Köln\n", ["unknown-charset"]),
        ("b17-latin1-is-1252", "„Angebot“ – 5 €\n", []),
        ("b17-utf8-label-latin1-bytes", "Grüße aus Köln\n", ["wrong-charset"]),
        ("b17-latin1-label-utf8-bytes", "Grüße aus Köln\n", ["wrong-charset"]),
        ("b17-no-charset", "Grüße aus Köln\n", []),
    ],
)
def test_b17_unknown_and_lying_charsets(name, text, defect):
    parsed = parsed_mail(name)
    assert (parsed.text, parsed.defects) == (text, defect)


def test_b17_raw_8bit_subject():
    assert parsed_mail("b17-raw-8bit-subject").subject == "Lieferung nach Köln"


def test_b17_utf8_with_one_torn_character_stays_utf8():
    torn = ("Größe, Maß, Stück, Käufer, Öl: " * 3).encode() + b"\xc3"
    text, defect = charsets.decode(torn, "utf-8")
    assert text.startswith("Größe, Maß")
    assert (text[-1], str(defect)) == ("\ufffd", "wrong-charset")


def test_b18_utf7_is_not_decoded():
    parsed = parsed_mail("b18-utf7-script")
    assert "<script" not in parsed.html
    assert parsed.html.startswith("+ADw-script+AD4-")
    assert parsed.defects == ["refused-charset"]


def test_b19_japanese_and_lone_surrogates():
    parsed = parsed_mail("b19-iso-2022-jp")
    assert (parsed.subject, parsed.text) == ("注文書", "お世話になります。\n")
    torn = parsed_mail("b19-lone-surrogate")
    assert torn.text.endswith("üöäßüöäßüöäßüöäß\n")
    torn.text.encode("utf-8")


@pytest.mark.parametrize(
    "label",
    [
        "rot13",
        "rot_13",
        "zlib",
        "zip",
        "base64",
        "hex",
        "bz2",
        "unicode_escape",
        "raw-unicode-escape",
        "punycode",
        "idna",
        "undefined",
        "utf-7",
        "UTF7",
        "uu",
    ],
)
def test_b20_codecs_that_are_no_charsets_are_refused(label):
    assert charsets.codec_for(label) == ("utf_8", charsets.Defect.REFUSED_CHARSET)


def test_b20_bodies_with_refused_codecs_stay_as_they_are():
    assert parsed_mail("b20-rot13-charset").text == "Unyyb Jryg\n"
    assert "geheim" not in parsed_mail("b20-zlib-charset").text


LABELS = st.text(max_size=20) | st.sampled_from(["utf-16", "gb18030", "iso-2022-kr", "cp1252", "johab", "hz"])


@given(st.binary(max_size=200), LABELS)
def test_decoding_never_raises_and_never_yields_surrogates(data, label):
    text, _ = charsets.decode(data, label)
    text.encode("utf-8")


def test_character_split_over_two_encoded_words():
    parsed = parsed_mail("ok-encoded-words")
    assert parsed.subject == "Grüße aus Köln"
    assert str(parsed.from_) == "Müller, Jörg <joerg@kunde.example>"


def test_encoded_words_that_are_none_stay():
    assert message("Subject: =?utf-8?x?abc?= und =?utf-8?q?").subject == "=?utf-8?x?abc?= und =?utf-8?q?"
