"""The polling benchmark in a process of its own: ``prepare`` accounts, ``check`` them all, or ``plain``.

``check`` is ours; ``plain`` is what people write with IMAPClient. The database is that of the environment.
Each step answers with a JSON object on its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402  # the applications have to be set up first
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402
from imapclient import IMAPClient  # noqa: E402

from bench.accounts import add_account  # noqa: E402
from inbound import checking  # noqa: E402
from inbound.models import Mailbox  # noqa: E402
from mailaccounts.connections import ImapAccess, imap_access  # noqa: E402
from mailaccounts.models import AccountHealth, MailAccount  # noqa: E402
from mailkit.imap import FolderStatus  # noqa: E402


def prepare(count: int, port: int, password: str) -> dict[str, Any]:
    """A migrated database with ``count`` accounts over TLS whose mailboxes are known and empty."""
    call_command("migrate", interactive=False, verbosity=0)
    accounts = [
        add_account(
            f"a{number}",
            port=port,
            username=f"a{number}@firma.example",
            password=password,
            security="tls",
        )
        for number in range(count)
    ]
    with ThreadPoolExecutor(max_workers=20) as pool:
        found = pool.map(_status, [imap_access(account) for account in accounts])
        Mailbox.objects.bulk_create(
            Mailbox(
                account=account,
                name="INBOX",
                uid_validity=status.uid_validity,
                next_uid=status.uid_next,
                seen_at=timezone.now(),
            )
            for account, status in zip(accounts, found, strict=True)
        )
    AccountHealth.objects.bulk_create(AccountHealth(account=account) for account in accounts)
    return {}


def _status(access: ImapAccess) -> FolderStatus:
    with access.open() as session:
        return session.status("INBOX")


def check() -> dict[str, Any]:
    """Let every account be due and check until all were asked; seconds, and how many did not go well."""
    AccountHealth.objects.update(next_poll_at=timezone.now())
    count, asked, news = MailAccount.objects.count(), 0, 0
    started, started_cpu = time.monotonic(), time.process_time()

    def on_news(_account_id: int) -> None:
        nonlocal news
        news += 1

    while some := checking.check_due(on_news):
        asked += some
    seconds, cpu = time.monotonic() - started, time.process_time() - started_cpu
    well = AccountHealth.objects.filter(failures=0, next_poll_at__gt=timezone.now()).count()
    return {"seconds": seconds, "cpu": cpu, "count": count, "wrong": abs(count - asked) + news + count - well}


def plain(count: int, port: int, password: str) -> dict[str, Any]:
    """Ask ``count`` accounts one after the other with IMAPClient, a connection and a context each."""
    started = time.monotonic()
    for number in range(count):
        context = ssl.create_default_context()
        context.load_verify_locations(settings.MAIL_CA_FILE)
        with IMAPClient("localhost", port, ssl=True, ssl_context=context) as client:
            client.login(f"a{number}@firma.example", password)
            client.folder_status("INBOX", ["MESSAGES", "UIDNEXT", "UIDVALIDITY"])
    return {"seconds": time.monotonic() - started, "count": count}


def main() -> None:
    """Run one step and print its answer."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("step", choices=["prepare", "check", "plain"])
    arguments.add_argument("--count", type=int, default=0)
    arguments.add_argument("--port", type=int, default=0)
    given = arguments.parse_args()
    password = os.environ["BENCH_PASSWORD"]
    match given.step:
        case "prepare":
            answer = prepare(given.count, given.port, password)
        case "check":
            answer = check()
        case _:
            answer = plain(given.count, given.port, password)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
