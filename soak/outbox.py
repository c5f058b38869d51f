"""The outbox of one scenario: an account of its own, what it queues, the workers that deliver, and time."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from jobs.models import Lease
from mailaccounts.models import MailAccount, SmtpSettings
from mailaccounts.services import after_settings_change, store_smtp_password
from mailkit.addresses import Address
from outbound import services as outbound
from outbound.claims import STALE_AFTER
from outbound.drafts import Draft
from outbound.models import DeliveryThrottle, OutgoingMessage, OutgoingMessageQuerySet
from outbound.tasks import deliver_due
from soak import broker
from soak.mta import USERNAME, message_ids
from soak.services import Services
from soak.worker import Circumstances, Worker
from tests.servers import Cut, CuttingProxy

State = OutgoingMessage.State

_PEOPLE: Final = ("meinhold", "oezdemir", "unknown.person", "schmidt", "nguyen")
_LINES: Final = (
    ".", "..", ".hidden", "From here on", "Grüße aus Köln – 42 €", "", " leading", "x" * 400, "=20", "-- ",
)  # fmt: skip
_LARGE: Final = 400_000  # bytes


def _deliver() -> None:
    deliver_due()
    broker.work_off("outbound")


class Outbox:
    """What faults are injected into. ``uncertain_for_sure``, ``perhaps_uncertain``: rows by primary key."""

    def __init__(
        self, rng: random.Random, *, services: Services, proxy: CuttingProxy, account: MailAccount
    ) -> None:
        self.rng, self.services, self.proxy, self.account = rng, services, proxy, account
        self.mta = services.mta
        self.goes_through_postfix = not account.smtp.password_encrypted
        self.log = services.folder / "sender.log"
        self.log.write_bytes(b"")
        self.faults: list[str] = []
        self.findings: list[str] = []
        self.uncertain_for_sure: set[int] = set()
        self.perhaps_uncertain: set[int] = set()

    # -- mail

    @property
    def rows(self) -> OutgoingMessageQuerySet:
        """All that this outbox holds."""
        return OutgoingMessage.objects.filter(account=self.account)

    def queue(self, count: int) -> None:
        """Queue so many mails, all kinds of them."""
        for _ in range(count):
            outbound.queue_message(draft=self._draft(), by=None)

    def _draft(self) -> Draft:
        rng = self.rng
        is_automatic = rng.random() < 0.2
        names = rng.sample(_PEOPLE, 1 if is_automatic else rng.choice([1, 1, 1, 2, 3]))
        lines = [rng.choice(_LINES) for _ in range(rng.randint(3, 40))]
        if rng.random() < 0.03:
            lines.append("y" * 70 + "\n" + "z\n" * (_LARGE // 2))
        purpose = OutgoingMessage.Purpose.AUTO_REPLY if is_automatic else OutgoingMessage.Purpose.TICKET
        return Draft(
            from_address=self.account.email,
            to=[Address("", f"{names[0]}@kunde.example")],
            bcc=[Address("", f"{name}@kunde.example") for name in names[1:]],
            subject=f"Förderband FB-{rng.randint(100, 999)}",
            text="\n".join(lines),
            purpose=purpose,
            envelope_sender="" if is_automatic else None,
        )

    def one_waiting(self) -> OutgoingMessage:
        """One of the mails that wait; there is always one."""
        waiting = list(self.rows.filter(state=State.QUEUED).order_by("pk"))
        if not waiting:
            self.queue(1)
            return self.one_waiting()
        return self.rng.choice(waiting)

    # -- workers

    def start(self, **circumstances: Any) -> Worker:
        """Start a worker that finds what is due and delivers all of it. See :class:`Circumstances`."""
        return Worker(_deliver, Circumstances(self.log, self.services.broker_url, **circumstances))

    def work(self, **circumstances: Any) -> None:
        """Let a worker do all it can. See :meth:`start`."""
        self.end(self.start(**circumstances))

    def end(self, *workers: Worker, may: Collection[int] = (0,)) -> None:
        """Wait for all workers there are. Only the exit statuses that they ``may`` have are none to report.

        Where one died between dot and record, nobody can know about its mail (R25). One that did not die must
        leave no such mail.
        """
        for worker in workers:
            worker.join()
            if worker.code not in may:
                self.findings.append(f"a worker ended with {worker.code}: {self._last_words()}")
        self._wait_for_rollbacks()
        left = set(self.rows.filter(state=State.DOT_SENT).values_list("pk", flat=True))
        dead = sum(worker.code != 0 for worker in workers)
        if len(left - self.uncertain_for_sure) > dead:
            self.findings.append(f"{dead} workers died, yet these rows are left in dot_sent: {sorted(left)}")
        self.uncertain_for_sure |= left

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1_500:]

    def _wait_for_rollbacks(self) -> None:
        """The database notices by and by that a killed worker is gone."""
        if connection.vendor != "postgresql":
            return
        deadline = time.monotonic() + 10
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND xact_start IS NOT NULL AND backend_type = 'client backend'"
                )
                if not cursor.fetchone()[0]:
                    return
                time.sleep(0.005)

    # -- the wire

    def cut(self, cut: Cut, **circumstances: Any) -> bool:
        """Let a worker deliver until the proxy cuts its connection; tell whether it did."""
        self.proxy.cut = cut
        self.work(**circumstances)
        self.proxy.cut = None
        return not cut.times

    def last_on_wire(self) -> OutgoingMessage | None:
        """The row whose mail the last connection carried last."""
        return self.row_of(message_ids(self.proxy.from_client[-1])[-1:])

    def row_of(self, ids: Sequence[str]) -> OutgoingMessage | None:
        """The row in force with one of these Message-IDs: a repetition has that of the first."""
        return self.rows.filter(message_id__in=ids).order_by("pk").last()

    # -- time and settings

    def pass_time(self) -> None:
        """Let more time pass than a lease, a claim or a delay lasts."""
        past = timezone.now() - STALE_AFTER - timedelta(minutes=1)
        self.rows.filter(inflight_since__isnull=False).update(inflight_since=past)
        self.rows.filter(state=State.QUEUED).update(next_attempt_at=past)
        DeliveryThrottle.objects.filter(account=self.account).update(retry_at=past)
        Lease.objects.filter(name=self.account.sending_lease_name, expires_at__isnull=False).update(
            expires_at=past
        )

    def change_settings(self, **smtp: Any) -> None:
        """Save other SMTP settings, as a mail administrator does."""
        with transaction.atomic():
            SmtpSettings.objects.filter(account=self.account).update(**smtp)
            after_settings_change(self.account)

    def settle(self) -> None:
        """Let workers and time go on undisturbed until every row is final, as long as that takes at most."""
        for _ in range(8):
            self.pass_time()
            self.work()
            if not self.rows.unfinished().exists():
                return


def make_account(email: str, *, port: int, password: str, has_debug: bool) -> MailAccount:
    """An account that sends through ``port``; with a ``password`` it logs in."""
    account = MailAccount.objects.create(display_name="Firma Service", email=email)
    smtp = SmtpSettings(
        account=account, is_enabled=True, host="127.0.0.1", port=port, security="none",
        authentication="password" if password else "none", has_own_login=True, username=USERNAME,
        debug_until=timezone.now() + timedelta(hours=1) if has_debug else None,
    )  # fmt: skip
    store_smtp_password(smtp, password)
    smtp.save()
    return account
