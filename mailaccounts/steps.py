"""Steps of a connection test: recorded by the worker as they happen, read by the page that shows them.

A row of ``ConnectionTest.steps`` holds ``step``, ``outcome`` (ok, bad, off), ``facts`` for the sentence
below the title, ``code`` and ``detail`` of an error, and ``milliseconds``. Facts never hold a secret.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now
from django.utils import formats
from django.utils.dateparse import parse_date
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mailaccounts.diagnosis import Explanation, explain
from mailaccounts.models import ConnectionTest
from mailkit.errors import MailError
from ui import formatting

RESOLVE, CONNECT, TLS, LOGIN = "resolve", "connect", "tls", "login"
FOLDERS, COUNTS, ACCEPTED, ARRIVED = "folders", "counts", "accepted", "arrived"

_STEPS: dict[str, tuple[str, ...]] = {
    ConnectionTest.Kind.IMAP: (RESOLVE, CONNECT, TLS, LOGIN, FOLDERS, COUNTS),
    ConnectionTest.Kind.FOLDERS: (RESOLVE, CONNECT, TLS, LOGIN, FOLDERS),
    ConnectionTest.Kind.SMTP: (RESOLVE, CONNECT, TLS, LOGIN, ACCEPTED, ARRIVED),
}
_STEP_BY_STAGE = {"resolved": RESOLVE, "connected": CONNECT, "encrypted": TLS}

_LABELS: dict[str, str | Promise] = {
    RESOLVE: _("Look up the name"),
    CONNECT: _("Connect"),
    TLS: _("TLS"),
    LOGIN: _("Sign in"),
    FOLDERS: _("Read the folders"),
    COUNTS: _("Count the e-mails"),
    ACCEPTED: _("Hand over the test mail"),
    ARRIVED: _("Arrival in the mailbox"),
}
_SENTENCES: dict[str, str | Promise] = {
    RESOLVE: _("%(host)s → %(addresses)s"),
    CONNECT: _("Port %(port)s answers"),
    TLS: _("%(version)s, certificate valid until %(valid_until)s"),
    LOGIN: _("as %(username)s"),
    FOLDERS: _("%(count)s folders"),
    COUNTS: _("%(counts)s"),
    ACCEPTED: _("%(host)s took the test mail to %(address)s"),
    ARRIVED: _("found in %(folder)s"),
}
_NOT_DONE: dict[str, str | Promise] = {
    TLS: _("not encrypted; allowed in this network"),
    LOGIN: _("the server asks for none"),
    ARRIVED: _("no IMAP set up, so arrival is not checked"),
}


class StepRecorder:
    """Writes the steps of one test, each as soon as its outcome is known."""

    def __init__(self, test: ConnectionTest) -> None:
        self._test = test
        self._names = _STEPS[test.kind]
        self._facts: dict[str, str] = {}
        self._since = time.monotonic()

    def know(self, **facts: str) -> None:
        """Facts that the sentences of coming steps use, such as host and user name."""
        self._facts |= facts

    def reached(self, stage: str, facts: Mapping[str, str]) -> None:
        """Observer for :class:`mailkit.endpoint.Endpoint`."""
        self.done(_STEP_BY_STAGE[stage], **facts)

    def done(self, step: str, **facts: str) -> None:
        """The step succeeded; steps before it that did not apply are told as left out."""
        self._leave_out_before(step)
        self._add(step, "ok", facts=self._facts | facts)

    def leave_out(self, *steps: str) -> None:
        """These steps do not apply to this test."""
        for step in steps:
            self._add(step, "off", facts={})

    def failed(self, error: MailError, *, step: str = "") -> None:
        """The step that was under way (or ``step``) failed."""
        following = step or self._next()
        if following:
            self._add(following, "bad", facts=self._facts, code=error.code, detail=error.detail)

    def finish(self) -> None:
        """No step follows."""
        ConnectionTest.objects.filter(pk=self._test.pk, finished_at=None).update(finished_at=Now())

    def _next(self) -> str:
        return next((name for name in self._names if name not in self._done()), "")

    def _done(self) -> set[str]:
        return {row["step"] for row in self._test.steps}

    def _leave_out_before(self, step: str) -> None:
        done = self._done()
        # Without a server there is nothing to look up or to encrypt; with one, what was left out was not
        # demanded.
        facts = {"server": "yes"} if done else {}
        for name in self._names[: self._names.index(step)]:
            if name not in done:
                self._add(name, "off", facts=facts)

    def _add(
        self, step: str, outcome: str, *, facts: Mapping[str, str], code: str = "", detail: str = ""
    ) -> None:
        now = time.monotonic()
        row = {"step": step, "outcome": outcome, "facts": dict(facts), "code": code, "detail": detail}
        self._test.steps.append(row | {"milliseconds": round((now - self._since) * 1000)})
        self._since = now
        ConnectionTest.objects.filter(pk=self._test.pk).update(steps=self._test.steps)


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step in the reader's language. ``outcome``: ok, bad, off or running."""

    label: str
    outcome: str
    sentence: str
    time: str
    explanation: Explanation | None = None


def shown_steps(test: ConnectionTest) -> list[ShownStep]:
    """All steps of the test: done, under way, and not reached."""
    rows = {row["step"]: row for row in test.steps}
    shown: list[ShownStep] = []
    is_running = test.finished_at is None
    for name in _STEPS[test.kind]:
        if name in rows:
            shown.append(_shown(rows[name]))
        elif is_running:
            shown.append(ShownStep(str(_LABELS[name]), "running", gettext("under way …"), ""))
            is_running = False
        else:
            words = gettext("not reached") if test.finished_at else ""
            shown.append(ShownStep(str(_LABELS[name]), "off", words, ""))
    return shown


def _shown(row: Mapping[str, Any]) -> ShownStep:
    step, facts = row["step"], _localised(row["facts"])
    label = str(_LABELS[step])
    if row["outcome"] == "off":
        words = _NOT_DONE.get(step) if facts or step == ARRIVED else None
        return ShownStep(label, "off", str(words or _("not needed")), "")
    spent = _duration(row["milliseconds"])
    if row["outcome"] == "ok":
        return ShownStep(label, "ok", str(_SENTENCES[step]) % facts, spent)
    host = str(facts.get("host", ""))
    words = str(_SENTENCES[LOGIN]) % facts if step == LOGIN and "username" in facts else host
    return ShownStep(label, "bad", words, spent, explain(row["code"], row["detail"], host=host))


def _localised(facts: Mapping[str, str]) -> dict[str, str]:
    until = parse_date(facts.get("valid_until", ""))
    return {**facts, **({"valid_until": formatting.day(until)} if until else {})}


def _duration(milliseconds: int) -> str:
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{formats.number_format(milliseconds / 1000, decimal_pos=1)} s"
