"""One import scenario: an account, rounds of mail and faults, then peace, then what must hold (R1 to R17)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Final

from django.utils import timezone

from bench.accounts import add_account, answer_automatically
from inbound.models import AutoresponderOptions
from mailaccounts.models import ImapSettings, MailAccount
from outbound.models import OutgoingMessage
from soak import canary, invariants
from soak.faults import FAULTS
from soak.mailbox import Mailbox
from soak.mails import Letter, MailWriter
from soak.outcomes import ImportOutcome
from soak.scene import Scene
from soak.services import CANARY, Services
from soak.worker import Circumstances
from tests.server_proxy import CuttingProxy
from tickets.models import TicketOptions

ROUNDS: Final = 4
_PERIODS: Final = 2
"""Checks within which everything has to be done once the faults are over."""


def run(seed: int, services: Services, rounds: int = ROUNDS) -> ImportOutcome:
    """Run scenario ``seed``, which alone decides the mails and the faults; fewer ``rounds`` are its first."""
    chance = Random(seed)
    with ExitStack() as stack:
        scene = begin(seed, chance, services, stack)
        writer = MailWriter(seed, chance)
        for _ in range(rounds):
            scene.mailbox.deliver(letters(chance, writer, scene))
            fault = chance.choices(list(FAULTS), list(FAULTS.values()))[0]
            scene.note(fault.__name__)
            fault(scene)
            scene.calm()
        outcome = _peace(scene)
        _close(scene.account)
        leaks = canary.leaks(scene.circumstances.log, services.broker_url, with_database=seed % 50 == 0)
        return replace(
            outcome,
            faults=tuple(scene.faults),
            findings=(*outcome.findings, *scene.findings, *leaks),
        )


def _peace(scene: Scene) -> ImportOutcome:
    """The faults are over: what was interrupted is finished within two periods, by nobody's help."""
    for _ in range(_PERIODS):
        scene.check()
        outcome = invariants.check(scene.account, scene.mailbox)
        if outcome.holds:
            break
    return outcome


def begin(seed: int, chance: Random, services: Services, stack: ExitStack) -> Scene:
    """A new account with an empty mailbox; ``stack`` closes what it opens."""
    has_uidplus = chance.random() < 0.75
    server = services.dovecot if has_uidplus else services.bare_dovecot
    folders = ["INBOX", "Anfragen", "Archiv 2026"][: chance.randint(1, 3)]
    mailbox = Mailbox(server, folders, has_uidplus=has_uidplus)
    proxy = stack.enter_context(CuttingProxy(server.port))
    account = add_account(
        f"soak{seed}",
        port=proxy.port,
        username=mailbox.user.username,
        password=CANARY,
        security=ImapSettings.Security.NONE,
    )
    ImapSettings.objects.filter(account=account).update(folders=folders)
    earlier = timezone.now() - timedelta(hours=1)
    if chance.random() < 0.5:
        answer_automatically(account)
        AutoresponderOptions.objects.filter(account=account).update(enabled_at=earlier)
    TicketOptions.objects.filter(account=account).update(
        from_date=earlier.date() - timedelta(days=30) if chance.random() < 0.3 else None,
        **({"deletes_on_server": True, "delete_imported_after": earlier} if chance.random() < 0.5 else {}),
    )
    circumstances = Circumstances(services.folder / f"imports-{seed}.log", services.broker_url)
    return Scene(chance, services, MailAccount.objects.get(pk=account.pk), mailbox, proxy, circumstances)


def letters(chance: Random, writer: MailWriter, scene: Scene) -> list[Letter]:
    """Some new mail in any of the folders; now and then the same bytes as before, and mail of long ago."""
    new = [
        Letter(
            writer.write(),
            chance.choice(scene.mailbox.folders),
            flags=frozenset({r"\Seen"}) if chance.random() < 0.2 else frozenset(),
        )
        for _ in range(chance.randint(4, 10))
    ]
    if scene.excludes_old:
        for letter in chance.sample(new, 2):
            letter.is_old = True
            letter.flags |= {r"\Deleted"} if chance.random() < 0.3 else set()
    if (earlier := scene.mailbox.letters) and chance.random() < 0.4:
        again = chance.choice(earlier)
        again.is_repeated = True
        new.append(Letter(again.content, chance.choice(scene.mailbox.folders), is_repeated=True))
    return new


def _close(account: MailAccount) -> None:
    """Leave the account alone from now on: neither polled nor answered for."""
    MailAccount.objects.filter(pk=account.pk).update(on_hold_since=timezone.now())
    OutgoingMessage.objects.filter(account=account).update(state=OutgoingMessage.State.CANCELLED)
