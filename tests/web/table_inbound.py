"""Rows of the room of incoming mail."""

from django.utils import timezone

from archive.services import store_raw
from inbound.models import IncomingMessage, Mailbox, PollRun
from mailaccounts.models import ImapSettings, MailAccount
from tests.web.matrix import ADMINISTRATORS, Row, World


def prepare(world: World) -> None:
    """An account, a quarantined mail and a finished run."""
    account, now = (
        MailAccount.objects.create(display_name="Einkauf", email="einkauf@firma.example"),
        timezone.now(),
    )
    ImapSettings.objects.create(account=account, host="mx.firma.example", username="einkauf")
    mailbox = Mailbox.objects.create(account=account, name="INBOX", uid_validity=1, server_messages=1)
    (raw,) = store_raw([b"Subject: kaputt\r\n\r\n"]).values()
    world.things["polled account"] = account
    world.things["poll run"] = PollRun.objects.create(account=account, finished_at=now, report={"new": 3})
    world.things["quarantined"] = IncomingMessage.objects.create(
        account=account, mailbox=mailbox, uid_validity=1, uid=1, internal_date=now, size=20, raw=raw,
        state=IncomingMessage.State.QUARANTINED, reason="too-deep", subject="kaputt", quarantined_at=now,
    )  # fmt: skip


def _one(name):
    return lambda world: [world[name].pk]


def _unknown(_world: World) -> list[int]:
    return [999_999]


def _row_page(name: str) -> list[Row]:
    return [
        Row(name, ADMINISTRATORS, args=_one("quarantined")),
        Row(name, (), args=_unknown, missing=ADMINISTRATORS, case="unknown"),
        Row(name, (), args=_unknown, missing=ADMINISTRATORS, method="post", case="unknown"),
    ]


ROWS = [
    Row("inbound:quarantine", ADMINISTRATORS),
    Row("inbound:quarantine", ADMINISTRATORS, query="?format=csv", case="csv"),
    Row("inbound:quarantine", ADMINISTRATORS, query="?state=discarded&account=1", case="filtered"),
    Row("inbound:retry_all", ADMINISTRATORS, method="post", answer=302),
    *_row_page("inbound:retry"),
    *_row_page("inbound:read_anyway"),
    *_row_page("inbound:discard"),
    *_row_page("inbound:original"),
    Row("inbound:poll_now", ADMINISTRATORS, args=_one("polled account"), method="post", answer=302),
    Row("inbound:poll_now", (), args=_unknown, missing=ADMINISTRATORS, method="post", case="unknown"),
    Row("inbound:poll_result", ADMINISTRATORS, args=_one("poll run")),
    Row("inbound:poll_result", (), args=_unknown, missing=ADMINISTRATORS, case="unknown"),
    Row("inbound:autoresponder_preview", ADMINISTRATORS, args=_one("polled account"), method="post"),
    Row(
        "inbound:autoresponder_preview",
        (),
        args=_unknown,
        missing=ADMINISTRATORS,
        method="post",
        case="unknown",
    ),
]
