"""The box below a conversation in which people answer or note: what it offers and what it starts with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from tickets import selectors
from tickets.form_fields import as_line
from tickets.forms import AnswerForm, NoteForm
from tickets.models import Ticket
from tickets.vocabulary import Mark
from tickets.wording import mark_label

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

ANSWER, ALL, NOTE = "answer", "all", "note"
KINDS = frozenset({ANSWER, ALL, NOTE})
# Ids of the fields start with c_, so that they differ from those of the properties on the same page.
AUTO_ID = "c_%s"
_TABS: tuple[tuple[str, str, str | Promise], ...] = (
    (ANSWER, "reply", pgettext_lazy("composer", "Answer")),
    (ALL, "reply-all", pgettext_lazy("composer", "All")),
    (NOTE, "note", pgettext_lazy("composer", "Internal note")),
)


@dataclass(frozen=True, slots=True)
class Tab:
    """One kind of message to switch to."""

    label: str | Promise
    icon: str
    href: str
    is_current: bool


@dataclass(slots=True)
class Composer:
    """What the template shows. ``is_asked_for`` opens it on a phone, where it is one line until used."""

    kind: str
    form: AnswerForm | NoteForm
    url: str
    tabs: list[Tab]
    is_asked_for: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def is_note(self) -> bool:
        """Whether it writes an internal note."""
        return self.kind == NOTE

    @property
    def data_kind(self) -> str:
        """Colour of the box: a note takes that of the yellow slip."""
        return "note" if self.is_note else "answer"

    @property
    def label(self) -> str:
        """Name of the form for those who hear the page."""
        return _("Write an internal note") if self.is_note else _("Write an answer")

    @property
    def text_label(self) -> str:
        """Name of the text field."""
        return _("Text of the note") if self.is_note else _("Text of the answer")

    @property
    def refused(self) -> str:
        """What stands above the form when it was not taken."""
        return _("Not saved yet.") if self.is_note else _("Not sent yet.")

    @property
    def lost_files(self) -> bool:
        """Whether files came with a form that was refused: browsers do not send them again by themselves."""
        return bool(self.form.is_bound and self.form.files)

    @property
    def shows_copies(self) -> bool:
        """Whether Cc and Bcc stand open: they hold something, or are wrong."""
        return any(
            self.form[name].value() or self.form[name].errors
            for name in ("cc", "bcc")
            if name in self.form.fields
        )


def new_composer(ticket: Ticket, by: AbstractBaseUser, parameters: QueryDict) -> Composer:
    """An empty box of the kind the URL asks for (``?compose=``)."""
    asked = parameters.get("compose", "")
    kind = asked if asked in KINDS else ANSWER
    recipients = selectors.answer_recipients(ticket, to_all=kind == ALL)
    form = note_form() if kind == NOTE else answer_form(ticket, by, initial=_initial(recipients))
    composer = _composer(ticket, kind, form, parameters)
    composer.is_asked_for = bool(asked)
    if kind != NOTE:
        composer.warnings = [_warning(warning) for warning in recipients.warnings]
    return composer


def refused_composer(ticket: Ticket, form: AnswerForm | NoteForm) -> Composer:
    """The box with what was written and why it was not taken."""
    return _composer(ticket, NOTE if isinstance(form, NoteForm) else ANSWER, form, QueryDict())


def answer_form(ticket: Ticket, by: AbstractBaseUser, **arguments: Any) -> AnswerForm:
    """The form of an answer with the senders this user may choose."""
    senders = selectors.senders_for_answer(ticket=ticket, by=by)
    return AnswerForm(senders=senders, auto_id=AUTO_ID, **arguments)


def note_form(**arguments: Any) -> NoteForm:
    """The form of a note."""
    return NoteForm(auto_id=AUTO_ID, **arguments)


def _initial(recipients: selectors.AnswerRecipients) -> dict[str, str]:
    return {"to": as_line(recipients.to), "cc": as_line(recipients.cc)}


def _warning(warning: selectors.AnswerWarning) -> str:
    if warning.code == Mark.REPLY_TO_ELSEWHERE:
        text = _("The answer goes to %(reply_to)s, as the e-mail asks, and not to its sender %(from)s.")
        return text % warning.data
    return mark_label(warning.code).text


def _composer(ticket: Ticket, kind: str, form: AnswerForm | NoteForm, parameters: QueryDict) -> Composer:
    url = reverse("tickets:note" if kind == NOTE else "tickets:reply", args=[ticket.number])
    return Composer(kind, form, url, [_tab(ticket, tab, kind, parameters) for tab in _TABS])


def _tab(ticket: Ticket, tab: tuple[str, str, str | Promise], current: str, parameters: QueryDict) -> Tab:
    kind, icon, label = tab
    query = parameters.copy()
    query["compose"] = kind
    return Tab(label, icon, f"{ticket.get_absolute_url()}?{query.urlencode()}#composer", kind == current)
