"""An outgoing mail in words: its state, why it waits or failed, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mailaccounts import diagnosis
from mailaccounts.models import MailAccount
from outbound import delivery
from outbound.models import OutgoingMessage, Recipient
from ui import formatting

State = OutgoingMessage.State
Text = tuple["str | Promise", "str | Promise", "str | Promise"]

TONES: dict[str, str] = {
    State.QUEUED: "hint",
    State.SENDING: "hint",
    State.DOT_SENT: "hint",
    State.SENT: "ok",
    State.FAILED: "bad",
    State.CANCELLED: "off",
    State.UNCERTAIN: "warn",
}
LABELS: dict[str, str | Promise] = {
    State.QUEUED: _("Waiting"),
    State.SENDING: _("Being sent"),
    State.DOT_SENT: _("Being sent"),
    State.SENT: _("Delivered"),
    State.FAILED: _("Failed"),
    State.CANCELLED: _("Cancelled"),
    State.UNCERTAIN: _("Uncertain"),
}
RECIPIENT_TONES: dict[str, str] = {
    Recipient.State.PENDING: "hint",
    Recipient.State.ACCEPTED: "ok",
    Recipient.State.REFUSED: "bad",
    Recipient.State.BOUNCED: "bad",
}
_CHECK_ADDRESS = _("Check the address, then send to the right one.")
_TRIED_AGAIN = _("It is tried again by itself.")

# RFC 3463: the enhanced code tells more than the reply code, and in a way that can be translated.
_BY_STATUS: tuple[tuple[str, Text], ...] = (
    (
        r"5\.1\.1|5\.1\.10|5\.1\.6",
        (
            _("The recipient is unknown to the destination server."),
            _("The address is probably out of date."),
            _CHECK_ADDRESS,
        ),
    ),
    (
        r"5\.1\.2|5\.4\.4|5\.1\.3",
        (
            _("The recipient's domain does not exist or takes no mail."),
            _("The part after the @ is probably misspelt."),
            _CHECK_ADDRESS,
        ),
    ),
    (
        r"[45]\.2\.2",
        (
            _("The recipient's mailbox is full."),
            _("Nothing more fits in until the recipient makes room."),
            _("Call the recipient, or send again later."),
        ),
    ),
    (
        r"5\.2\.3|5\.3\.4",
        (
            _("The e-mail is too large for the destination server."),
            _("Its limit is below the size of the attachments."),
            _("Send smaller or fewer attachments."),
        ),
    ),
    (
        r"[45]\.1\.8|5\.7\.2[2-9]",
        (
            _("The destination server does not accept the sender address."),
            _(
                "It may belong to another server, or its domain is not set up for this one "
                "(SPF, DKIM, DMARC)."
            ),
            _("Ask whoever runs the sender's domain."),
        ),
    ),
    (
        r"5\.7\.\d+",
        (
            _("The destination server refuses the e-mail by its rules."),
            _("Rules about content, sender or sending server, which its reply may name."),
            _("Read the reply below; if in doubt, ask the recipient by another way."),
        ),
    ),
    (
        r"4\.7\.\d+",
        (
            _("The destination server asks to come back later (greylisting)."),
            _("It does so with senders it does not know yet."),
            _TRIED_AGAIN,
        ),
    ),
)
_COMPILED = [(re.compile(rf"(?<![\d.])(?:{pattern})(?![\d.])"), text) for pattern, text in _BY_STATUS]
_OWN: dict[str, Text] = {
    "gave_up": (
        _("Not delivered within the time allowed."),
        _("The server asked to come back later again and again, or could not be reached."),
        _("Check the address and the account, then send it again."),
    ),
    "recipients_refused": (
        _("Not all recipients took the e-mail."),
        _("The others have received it."),
        _("Sending again reaches only those who have not received it."),
    ),
    "recipients_deferred": (
        _("Some recipients are asked again later."),
        _("The others have received it."),
        _TRIED_AGAIN,
    ),
    "worker_lost": (
        _("The sending process ended before the e-mail was handed over."),
        _("Nothing was sent."),
        _TRIED_AGAIN,
    ),
    "delivery_uncertain": (
        _("The connection broke before the server answered."),
        _("The e-mail may have arrived and therefore does not go out a second time by itself."),
        _("Ask the recipient, or look into the mailbox."),
    ),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, why, what now; ``reply`` is the server's own words."""

    title: str
    cause: str
    remedy: str
    reply: str = ""


def explain(message: OutgoingMessage) -> Explanation | None:
    """Why the mail is not delivered; None where there is nothing to explain."""
    if message.bounced_at:
        return _in_words(_text_for("", message.bounce_detail) or _OWN_BOUNCE, message.bounce_detail)
    if message.state in {State.SENT, State.CANCELLED}:
        return None
    if message.state == State.QUEUED and (trouble := account_trouble(message.account)):
        return trouble
    return _explain_error(message) if message.last_error else None


_OWN_BOUNCE: Text = (
    _("The e-mail came back."),
    _("A server on the way could not deliver it."),
    _CHECK_ADDRESS,
)


def _explain_error(message: OutgoingMessage) -> Explanation:
    reply = f"{message.last_reply_code or ''} {message.last_reply}".strip()
    text = _text_for(message.last_error, message.last_reply)
    if text is not None:
        return _in_words(text, reply)
    told = diagnosis.explain(message.last_error, message.last_reply, host=_host(message.account))
    return Explanation(_sentence(told.title), told.cause, told.remedy, reply)


def _text_for(code: str, reply: str) -> Text | None:
    if code in _OWN:
        return _OWN[code]
    return next((text for pattern, text in _COMPILED if pattern.search(reply)), None)


def account_trouble(account: MailAccount) -> Explanation | None:
    """Why nothing leaves through the account at present; None while it sends."""
    code = delivery.waiting_code(account)
    if not code:
        return None
    throttle = getattr(account, "delivery_throttle", None)
    detail = throttle.error_detail if throttle and throttle.error_code == code else ""
    told = diagnosis.explain(code, detail, host=_host(account))
    calm = gettext("Nothing is lost, the e-mail waits here.")
    return Explanation(_sentence(told.title), f"{told.cause} {calm}", told.remedy, detail)


def waiting_text(count: int) -> str:
    """How many mails wait for an account."""
    text = ngettext("%(count)s e-mail is waiting.", "%(count)s e-mails are waiting.", count)
    return text % {"count": formatting.number(count)}


def _host(account: MailAccount) -> str:
    smtp = getattr(account, "smtp", None)
    return smtp.host if smtp else ""


def _in_words(text: Text, reply: str) -> Explanation:
    title, cause, remedy = text
    return Explanation(str(title), str(cause), str(remedy), reply)


def _sentence(title: str) -> str:
    return title if title.endswith(".") else f"{title}."


def label_of(message: OutgoingMessage) -> str:
    """The state in one or two words; what came back was not delivered, whatever the first server said."""
    return gettext("Came back") if message.bounced_at else str(LABELS[message.state])


def tone_of(message: OutgoingMessage) -> str:
    """The colour of the state's dot."""
    return "bad" if message.bounced_at else TONES[message.state]


def recipients_text(recipients: Sequence[Recipient]) -> str:
    """ "to a@b.example and 2 more"."""
    if not recipients:
        return ""
    first, more = recipients[0].address, len(recipients) - 1
    if not more:
        return gettext("to %(address)s") % {"address": first}
    text = ngettext("to %(address)s and %(count)s more", "to %(address)s and %(count)s more", more)
    return text % {"address": first, "count": formatting.number(more)}


def notes_of(message: OutgoingMessage) -> list[str]:
    """What else belongs below the subject: automatic, next attempt, repetition, decision."""
    notes = []
    if message.purpose == OutgoingMessage.Purpose.AUTO_REPLY:
        notes.append(gettext("automatic"))
    if message.replaces_id:
        notes.append(gettext("sent again"))
    if message.state == State.QUEUED and message.attempts:
        if explanation := explain(message):
            notes.append(explanation.title.removesuffix("."))
        notes.append(
            gettext("next attempt %(time)s") % {"time": formatting.short_time(message.next_attempt_at)}
        )
    if message.settled_at:
        notes.append(_decision(message))
    if message.copy_state == OutgoingMessage.CopyState.FAILED:
        notes.append(gettext("no copy in the Sent folder"))
    return notes


def _decision(message: OutgoingMessage) -> str:
    if hasattr(message, "replaced_by"):
        return gettext("replaced by a new e-mail")
    return gettext("arrived") if message.state == State.UNCERTAIN else gettext("done")
