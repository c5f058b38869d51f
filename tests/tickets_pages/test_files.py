"""What mails carry: saved as files, shown only where they are raster pictures (B43, B55, B56, T1, W13)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import FileField
from django.urls import reverse

from tests.tickets_pages.mails import PIXEL, part, with_attachment, with_parts
from tests.tickets_pages.pages import elements
from tickets.models import Attachment

pytestmark = pytest.mark.django_db

_watching: list[list[str]] = []


def _note_written(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook can not be taken back: it looks only while somebody watches."""
    if not _watching:
        return
    is_write = event == "open" and int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
    if is_write or event in {"os.mkdir", "os.rename", "os.link", "os.symlink"}:
        _watching[-1].append(str(arguments[0]))


sys.addaudithook(_note_written)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Paths that Python opens for writing or makes meanwhile, but for its own compiled modules."""
    written: list[str] = []
    _watching.append(written)
    try:
        yield written
    finally:
        _watching.remove(written)
        written[:] = [path for path in written if ".pyc" not in path]


@pytest.mark.parametrize("name", ["\u200b.htaccess", "../../etc/cron.d/x", "/var/www/shell.php", "C:\\x.exe"])
def test_t1_b50_b51_no_part_of_a_mail_becomes_a_file(agent_client, receive, name):
    with watched() as written:
        message = receive(with_attachment(b"SetHandler x", name=name, content_type="text/plain"))
        attachment = Attachment.objects.get()
        url = reverse("tickets:attachment", args=[message.ticket.number, attachment.pk])
        response = agent_client.get(url)
        agent_client.get(message.ticket.get_absolute_url())
    assert response.content == b"SetHandler x"
    assert Path(attachment.filename).name == attachment.filename
    assert not attachment.filename.startswith(".")
    assert written == []


def test_t1_the_watch_itself_notices_files(tmp_path):
    with watched() as written:
        (tmp_path / "x").write_text("x")
    assert written == [str(tmp_path / "x")]


def test_t1_no_table_points_to_files():
    kept = [
        field for model in apps.get_models() for field in model._meta.fields if isinstance(field, FileField)
    ]
    assert kept == []


def test_b43_cid_pictures_come_from_the_ticket_itself(agent_client, receive):
    picture = part(PIXEL, content_type="image/png", disposition="inline", more="Content-ID: <logo@x>\r\n")
    trap = part(
        b"<script>x</script>", content_type="text/html", disposition="inline", more="Content-ID: <trap@x>\r\n"
    )
    message = receive(with_parts(picture, trap, html='<p>x</p><img src="cid:logo@x"><img src="cid:trap@x">'))
    html = agent_client.get(message.ticket.get_absolute_url()).content.decode()
    (frame,) = elements(html, "iframe")
    sources = [attributes["src"] for attributes in elements(frame["srcdoc"], "img") if attributes.get("src")]
    logo = Attachment.objects.get(content_id="logo@x")

    assert sources == [reverse("tickets:inline", args=[message.ticket.number, logo.pk])]
    response = agent_client.get(sources[0])
    assert response.content == PIXEL
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"<script>alert(1)</script>", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b"<html>", "text/html"),
        (PIXEL, "text/html"),
    ],
)
def test_b56_only_raster_pictures_are_shown_inline(agent_client, receive, content, content_type):
    message = receive(with_attachment(content, name="bild.png", content_type=content_type))
    attachment = Attachment.objects.get()

    response = agent_client.get(reverse("tickets:inline", args=[message.ticket.number, attachment.pk]))

    assert response.status_code == 404


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("rechnung.html", "text/html"),
        ("logo.svg", "image/png"),
        ("x.xml", "image/png"),
        ("a.js", "text/javascript"),
    ],
)
def test_t3_w13_b55_b56_downloads_are_saved_never_shown(agent_client, receive, name, content_type):
    message = receive(with_attachment(b"<script>alert(1)</script>", name=name, content_type=content_type))
    attachment = Attachment.objects.get()

    response = agent_client.get(reverse("tickets:attachment", args=[message.ticket.number, attachment.pk]))

    assert response.content == b"<script>alert(1)</script>"
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
