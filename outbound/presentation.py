"""What the pages show of an outgoing mail, put together without further queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from mailaccounts.models import MailAccount
from outbound import wording
from outbound.models import DeliveryAttempt, OutgoingMessage, Recipient
from ui import formatting

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

State = OutgoingMessage.State
CopyState = OutgoingMessage.CopyState


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One mail of the list. ``is_undecided``: failed or uncertain, and a person has to say what now."""

    message: OutgoingMessage
    label: str
    tone: str
    recipients: str
    notes: list[str]
    explanation: wording.Explanation | None
    is_undecided: bool
    is_waiting: bool

    @property
    def is_uncertain(self) -> bool:
        """Whether it may have arrived."""
        return self.message.state == State.UNCERTAIN

    @property
    def may_repeat(self) -> bool:
        """Whether a person may send it again."""
        is_automatic = self.message.purpose == OutgoingMessage.Purpose.AUTO_REPLY
        return self.is_undecided and not (self.is_uncertain and is_automatic)


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the history."""

    at: datetime
    tone: str
    text: str
    reply: str = ""
    transcript: str = ""


@dataclass(frozen=True, slots=True)
class StalledAccount:
    """An account through which nothing leaves at present, while mail waits for it."""

    account: MailAccount
    explanation: wording.Explanation
    waiting: str


def stalled_accounts(rows: QuerySet[OutgoingMessage]) -> list[StalledAccount]:
    """Accounts that hold up mail among ``rows``, at most three, in two queries."""
    waiting = dict(rows.filter(state=State.QUEUED).values_list("account").annotate(Count("pk")).order_by())
    accounts = MailAccount.objects.filter(pk__in=waiting).select_related("smtp", "imap", "delivery_throttle")
    stalled = [
        StalledAccount(account, trouble, wording.waiting_text(waiting[account.pk]))
        for account in accounts.order_by("display_name")
        if (trouble := wording.account_trouble(account))
    ]
    return stalled[:3]


def with_everything(rows: QuerySet[OutgoingMessage]) -> QuerySet[OutgoingMessage]:
    """Join what :func:`row_of` looks at."""
    joined = rows.select_related(
        "account__smtp", "account__imap", "account__delivery_throttle", "from_account__imap", "created_by",
        "settled_by", "replaces", "replaced_by",
    )  # fmt: skip
    return joined.prefetch_related("recipients")


def row_of(message: OutgoingMessage) -> OutboxRow:
    """The mail as the list shows it."""
    return OutboxRow(
        message=message,
        label=wording.label_of(message),
        tone=wording.tone_of(message),
        recipients=wording.recipients_text(list(message.recipients.all())),
        notes=wording.notes_of(message),
        explanation=None if message.settled_at else wording.explain(message),
        is_undecided=message.state in OutgoingMessage.TROUBLE_STATES and message.settled_at is None,
        is_waiting=message.state == State.QUEUED,
    )


def history_of(message: OutgoingMessage, *, with_transcript: bool) -> list[Moment]:
    """What happened to the mail, newest first; the protocol dialogue is for mail administrators."""
    attempts = [
        _attempt(one, with_transcript=with_transcript) for one in message.delivery_attempts.order_by("pk")
    ]
    moments = [_queued(message), *attempts, *_decisions(message)]
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def _queued(message: OutgoingMessage) -> Moment:
    name = _name(message.created_by) if message.created_by else _("the system")
    return Moment(message.created_at, "off", _("Queued by %(name)s") % {"name": name})


def _attempt(attempt: DeliveryAttempt, *, with_transcript: bool) -> Moment:
    texts = {
        "": _("Handing over"),
        "sent": _("Accepted by the server"),
        "delivery_uncertain": _("Connection broken before the server answered"),
        "recipients_refused": _("Accepted for some recipients, refused for others"),
        "recipients_deferred": _("Accepted for some recipients, others later"),
        "gave_up": _("Given up"),
    }
    tones = {
        "sent": "ok",
        "": "hint",
        "delivery_uncertain": "warn",
        "recipients_refused": "bad",
        "gave_up": "bad",
    }
    text = texts.get(attempt.outcome) or (
        _("Refused") if attempt.reply_code >= 500 else _("Not accepted yet")
    )
    tone = tones.get(attempt.outcome) or ("bad" if attempt.reply_code >= 500 else "hint")
    reply = f"{attempt.reply_code or ''} {attempt.reply}".strip()
    transcript = attempt.transcript if with_transcript else ""
    return Moment(attempt.finished_at or attempt.started_at, tone, text, reply, transcript)


def _decisions(message: OutgoingMessage) -> list[Moment]:
    moments = []
    if message.state == State.CANCELLED and message.finished_at:
        moments.append(Moment(message.finished_at, "off", _("Cancelled before it was sent")))
    if message.bounced_at:
        moments.append(Moment(message.bounced_at, "bad", _("Came back"), message.bounce_detail))
    if message.settled_at:
        moments.append(Moment(message.settled_at, "ok", _settled_text(message)))
    return moments


def _settled_text(message: OutgoingMessage) -> str:
    name = _name(message.settled_by) if message.settled_by else _("somebody")
    if hasattr(message, "replaced_by"):
        return _("Sent again by %(name)s") % {"name": name}
    if message.state == State.UNCERTAIN:
        return _("Marked as arrived by %(name)s") % {"name": name}
    return _("Marked as done by %(name)s") % {"name": name}


def _name(user: AbstractBaseUser) -> str:
    full = getattr(user, "get_full_name", str)()
    return full or str(user)


def copy_text(message: OutgoingMessage) -> tuple[str, str]:
    """Tone and words of the Sent copy."""
    imap = getattr(message.from_account, "imap", None)
    folder = imap.sent_folder if imap else ""
    if message.copy_state == CopyState.DONE:
        return "ok", _("Lies in the folder %(folder)s.") % {"folder": folder}
    if message.copy_state == CopyState.FAILED:
        return "bad", _("Could not be placed in the folder %(folder)s.") % {"folder": folder}
    if message.copy_state == CopyState.NONE:
        return "off", _("No copy is made for this e-mail.")
    if message.copy_next_attempt_at is None:
        return "hint", _("Follows once the e-mail is sent.")
    when = formatting.short_time(message.copy_next_attempt_at)
    return "hint", _("On its way to the folder %(folder)s, next attempt %(time)s.") % {
        "folder": folder,
        "time": when,
    }


def recipient_rows(message: OutgoingMessage) -> list[tuple[Recipient, str]]:
    """Recipients with the tone of their state."""
    return [(one, wording.RECIPIENT_TONES[one.state]) for one in message.recipients.all()]


def belongings(message: OutgoingMessage, user: AbstractBaseUser | AnonymousUser) -> list[tuple[str, str]]:
    """Label and URL of what the mail belongs to, as far as the user may see it.

    Rooms above are asked over the model's own relations, so that this one need not know them: a related model
    takes part by a ``visible_to`` queryset and ``get_absolute_url``.
    """
    found = []
    for relation in message._meta.related_objects:  # noqa: SLF001  # Django documents it as public
        model = relation.related_model
        visible = getattr(model._default_manager.all(), "visible_to", None)  # noqa: SLF001  # documented, too
        if visible and model is not OutgoingMessage and hasattr(model, "get_absolute_url"):
            related = visible(user).filter(**{relation.field.name: message})
            found += [(str(one), one.get_absolute_url()) for one in related[:5]]
    return found
