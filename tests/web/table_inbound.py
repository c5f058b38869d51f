"""Rows of the room of incoming mail. Its objects are made when the first row asks for them."""

from django.utils import timezone

from archive.services import store_raw
from inbound.models import IncomingMessage, Mailbox, PollRun
from mailaccounts.models import ImapSettings, MailAccount
from tests.web.matrix import ADMINISTRATORS, Row, World


def _account(world: World) -> MailAccount:
    if "inbound account" not in world.things:
        account = MailAccount.objects.create(display_name="Einkauf", email="einkauf@firma.example")
        ImapSettings.objects.create(account=account, host="mx.firma.example", username="einkauf")
        world.things["inbound account"] = account
    return world["inbound account"]


def _quarantined(world: World) -> list[int]:
    if "quarantined" not in world.things:
        account, now = _account(world), timezone.now()
        mailbox = Mailbox.objects.create(account=account, name="INBOX", uid_validity=1, server_messages=1)
        (raw,) = store_raw([b"Subject: kaputt\r\n\r\n"]).values()
        world.things["quarantined"] = IncomingMessage.objects.create(
            account=account, mailbox=mailbox, uid_validity=1, uid=1, internal_date=now, size=20, raw=raw,
            state=IncomingMessage.State.QUARANTINED, reason="too-deep", subject="kaputt", quarantined_at=now,
        )  # fmt: skip
    return [world["quarantined"].pk]


def _account_id(world: World) -> list[int]:
    return [_account(world).pk]


def _run(world: World) -> list[int]:
    return [PollRun.objects.create(account=_account(world), finished_at=timezone.now(), report={"new": 3}).pk]


def _unknown(_world: World) -> list[int]:
    return [999_999]


def _row_page(name: str) -> list[Row]:
    return [
        Row(name, ADMINISTRATORS, args=_quarantined),
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
    Row("inbound:poll_now", ADMINISTRATORS, args=_account_id, method="post", answer=302),
    Row("inbound:poll_now", (), args=_unknown, missing=ADMINISTRATORS, method="post", case="unknown"),
    Row("inbound:poll_result", ADMINISTRATORS, args=_run),
    Row("inbound:poll_result", (), args=_unknown, missing=ADMINISTRATORS, case="unknown"),
    Row("inbound:autoresponder_preview", ADMINISTRATORS, args=_account_id, method="post"),
    Row("inbound:autoresponder_preview", (), args=_unknown, missing=ADMINISTRATORS, method="post", case="unknown"),
]
