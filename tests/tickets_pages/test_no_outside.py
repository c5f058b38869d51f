"""What a mail points to is neither read nor asked for when it is imported, shown and answered (T12, T13)."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import reverse

from outbound.models import OutgoingMessage
from tests.mailkit.corpus import raw_mail
from tests.tickets_pages.mails import html_letter
from tests.tickets_pages.test_writing import answer

pytestmark = pytest.mark.django_db

INSIDE = (
    "169.254.169.254", "127.1", "2130706433", "[::ffff:7f00:1]", "127.0.0.1.nip.io", "100.64.0.1",
    "localhost",
)  # fmt: skip
POINTERS = {
    "b44-file": "file:///etc/passwd",
    "b44-php-filter": "php://filter/read=convert.base64-encode/resource=/etc/passwd",
    "b44-path": "/etc/passwd",
    "b44-unc": r"\\evil.example\share\x.png",
    **{f"b45-{host}": f"https://{host}/latest/meta-data/" for host in INSIDE},
}


class _Outside:
    """Python's audit events (PEP 578) for files and the network; a hook stays for good: one for all tests."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []
        self.is_watching = False
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.is_watching:
            return
        if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"}:
            self.seen.append((event, arguments))
        elif event == "open" and "passwd" in str(arguments[0]):
            self.seen.append((event, arguments[0]))


_outside = _Outside()


@pytest.fixture
def outside() -> Iterator[list[tuple[str, object]]]:
    """Files of interest opened and hosts asked for during the test."""
    _outside.seen.clear()
    _outside.is_watching = True
    yield _outside.seen
    _outside.is_watching = False


def test_the_watch_itself_notices_files_and_hosts(outside):
    Path("/etc/passwd").read_bytes()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", 1))
    assert {event for event, _ in outside} >= {"open", "socket.connect"}


@pytest.mark.parametrize("target", POINTERS.values(), ids=POINTERS)
def test_b44_b45_nothing_a_mail_points_to_is_read_or_asked_for(agent_client, receive, outside, target):
    pointing = f'<img src="{target}"><a href="{target}">x</a><link rel="stylesheet" href="{target}">'
    message = receive(html_letter(f"<p>Hallo</p>{pointing}"))
    page = message.ticket.get_absolute_url()
    for url in (page, f"{page}?remote={message.pk}", f"{page}?c=all", reverse("tickets:list")):
        shown = agent_client.get(url).content.decode()
        assert f"src=&quot;{target}" not in shown
        assert f'src="{target}' not in shown
    agent_client.post(reverse("tickets:reply", args=[message.ticket.number]), answer())
    assert b"root:" not in OutgoingMessage.objects.get().raw.content_bytes
    assert outside == []


def test_b24_b25_what_lies_elsewhere_is_not_fetched_and_fragments_are_not_joined(
    agent_client, receive, outside
):
    for name in ("b24-external-body", "b25-message-partial"):
        message = receive(raw_mail(name))
        assert agent_client.get(message.ticket.get_absolute_url()).status_code == 200
        assert message.attachments.count() == 1
    second = raw_mail("b25-message-partial").replace(b"number=1", b"number=2")
    assert receive(second).ticket != message.ticket
    assert outside == []
