"""Attachments leave as downloads, whatever they call themselves (T1, T3, W13, B50–B56)."""

from __future__ import annotations

import pytest
from django.http import HttpResponse

from tests.tickets.mails import eml, plain
from tickets.attachments import AttachmentMissing, download_headers, inline_headers, picture_type, read
from tickets.models import Attachment

PNG = b"\x89PNG\r\n\x1a\n...."


def row(filename: str = "a.pdf", content_type: str = "application/pdf") -> Attachment:
    return Attachment(position=0, filename=filename, content_type=content_type, size=1)


def test_bytes_come_out_of_the_raw_mail(import_mail):
    message = import_mail(eml(files={"eins.bin": b"\0\1\2", "zwei.bin": b"zwei"}))
    assert [read(one) for one in message.attachments.order_by("position")] == [b"\0\1\2", b"zwei"]


@pytest.mark.parametrize("change", [{"position": 7}, {"size": 4711}])
def test_a_row_that_does_not_match_its_mail_gives_nothing(import_mail, change):
    attachment = import_mail(eml(files={"a.bin": b"abc"})).attachments.get()
    for name, value in change.items():
        setattr(attachment, name, value)
    with pytest.raises(AttachmentMissing):
        read(attachment)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("rechnung.html", "image/png"),
        ("bild.svg", "image/png"),
        ("daten.xml", "image/jpeg"),
        ("bild.png", "image/svg+xml"),
        ("bild.png", "text/html; charset=utf-8"),
        ("BILD.SVG", "IMAGE/PNG"),
        ("x.js", "text/plain"),
        ("x", "application/x-shockwave-flash"),
        ("x", '"><img onerror=1>'),
        ("x", ""),
    ],
)
def test_b56_whatever_could_run_leaves_as_octet_stream(name, content_type):
    headers = download_headers(row(name, content_type))
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("name", "content_type"), [("a.pdf", "application/pdf"), ("a.png", "image/png"), ("a.txt", "text/plain")]
)
def test_w13_harmless_types_keep_their_name_and_are_downloads_all_the_same(name, content_type):
    headers = download_headers(row(name, content_type))
    assert headers["Content-Type"] == content_type
    assert headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert "no-store" in headers["Cache-Control"]


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: x=1.pdf", "a\nb.pdf", 'a".pdf', "a\0b.pdf", "a\u2028b.pdf"]
)
def test_b55_a_name_cannot_split_a_header(name):
    response = HttpResponse(b"", headers=download_headers(row(name)))
    value = response["Content-Disposition"]
    assert not set("\r\n\0") & set(value)
    assert value.count('"') in {0, 2}
    assert "set-cookie" not in {key.lower() for key in response.headers}


def test_rfc_6266_a_german_name_is_encoded():
    value = download_headers(row("Übersicht Förderband.pdf"))["Content-Disposition"]
    assert value == "attachment; filename*=utf-8''%C3%9Cbersicht%20F%C3%B6rderband.pdf"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/cron.d/x",
        "\u200b.htaccess",
        "x.php%00.png",
        "CON",
        "f" * 4_000 + ".pdf",
        "..",
        "gpj.\u202eexe",
    ],
)
def test_b50_to_b53_names_are_metadata_and_harmless(import_mail, name):
    raw = plain(
        "From: a@x.example", "MIME-Version: 1.0", "Content-Type: application/octet-stream",
        f'Content-Disposition: attachment; filename="{name}"', body="x",
    )  # fmt: skip
    attachment = import_mail(raw).attachments.get()
    assert 0 < len(attachment.filename) <= 120
    assert not set("/\\\0\u200b\u202e") & set(attachment.filename)
    assert not attachment.filename.startswith(".")
    assert download_headers(attachment)["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"<svg onload=alert(1)>", "image/png"),
        (b"<html>", "image/gif"),
        (PNG, "text/html"),
        (PNG, "image/svg+xml"),
        (b"", "image/png"),
        (b"RIFF....WAVE", "image/webp"),
    ],
)
def test_b43_only_a_raster_picture_is_shown_inline(content, content_type):
    assert inline_headers(row("a.png", content_type), content) is None


def test_a_picture_shown_inline_is_typed_by_its_bytes():
    headers = inline_headers(row("a.jpg", "image/jpeg"), PNG)
    assert headers is not None
    assert headers["Content-Type"] == "image/png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert picture_type(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
