"""R26 with the real thing: Postfix that asks Postgrey."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from outbound import services
from outbound.delivery import deliver
from outbound.models import OutgoingMessage
from tests.outbound.conftest import draft
from tests.server_postfix import Postfix, Postgrey
from tests.servers import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("original"), pytest.mark.servers
]  # fmt: skip

State = OutgoingMessage.State


def test_r26_a_greylisted_mail_is_tried_again_later_and_one_copy_arrives(make_account, smtp_sink):
    with Postgrey() as greylist, Postfix(smtp_sink.port, greylist=greylist) as postfix:
        account = make_account(port=postfix.port)
        row = services.queue_message(draft=draft(), by=None)
        assert deliver(account.pk).deferred == 1
        row.refresh_from_db()
        assert (row.state, row.recipients.get().reply_code) == (State.QUEUED, 450)
        assert "Greylisted" in row.last_reply

        def comes_again() -> bool:
            OutgoingMessage.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=5))
            return deliver(account.pk).sent == 1

        wait_until(comes_again, "the greylist lets it pass", 30)
        wait_until(lambda: postfix.is_idle, "Postfix hands it on", 30)
    row.refresh_from_db()
    assert row.state == State.SENT
    assert [one.recipients for one in smtp_sink.transactions] == [("c.meinhold@kunde.example",)]
