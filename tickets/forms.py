"""Forms of the ticket pages. What they know of a ticket comes in by keyword; they save nothing."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from masterdata import roles
from masterdata.models import Address, Project
from tickets.form_fields import FilesField, RecipientsField
from tickets.models import Queue, Ticket
from ui.layout import Fieldset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outbound.selectors import Sender

MAX_TEXT = 200_000


class SubmissionForm(forms.Form):
    """A form that counts once however often it is sent: it carries a token of its own."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)


class AnswerForm(SubmissionForm):
    """An answer on a ticket. ``senders`` are those the user may choose from."""

    from_address = forms.ChoiceField(label=_("From"))
    to = RecipientsField(label=_("To"))
    cc = RecipientsField(label=_("Cc"), required=False)
    bcc = RecipientsField(label=_("Bcc"), required=False)
    text = forms.CharField(label=_("Text"), max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 5}))
    attachments = FilesField(label=_("Attachments"))

    def __init__(self, *args: Any, senders: Sequence[Sender], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(sender.address, _shown(sender)) for sender in senders]
        self.fields["from_address"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["text"].strip = False  # type: ignore[attr-defined]  # what was written stays as written

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        if not text.strip():
            raise ValidationError(_("The e-mail has no text yet."), code="required")
        return text


def _shown(sender: Sender) -> str:
    return f"{sender.name} <{sender.address}>" if sender.name else sender.address


class NoteForm(SubmissionForm):
    """An internal note."""

    text = forms.CharField(label=_("Note"), max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 5}))


class NewTicketForm(AnswerForm):
    """A ticket that begins with a mail of ours."""

    subject = forms.CharField(label=_("Subject"), max_length=500)
    queue = forms.ModelChoiceField(label=_("Queue"), queryset=Queue.objects.none(), empty_label=None)
    project = forms.ModelChoiceField(
        label=_("Project"),
        queryset=Project.objects.filter(is_active=True),
        required=False,
        empty_label=pgettext_lazy("project", "none"),
    )
    customer_number = forms.CharField(
        label=_("Customer number"),
        required=False,
        max_length=30,
        help_text=_("Left empty, the customer is found by the recipient's address."),
    )
    layout = (
        Fieldset(
            _("E-mail"),
            ("from_address", 6),
            ("to", 6),
            ("cc", 6),
            ("bcc", 6),
            "subject",
            "text",
            "attachments",
        ),
        Fieldset(_("Ticket"), ("queue", 4), ("project", 4), ("customer_number", 4)),
    )

    def __init__(self, *args: Any, queues: Iterable[Queue], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["queue"].queryset = queues  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["text"].widget.attrs["rows"] = 12

    def clean_customer_number(self) -> Address | None:
        number = self.cleaned_data["customer_number"].strip()
        if not number:
            return None
        customer = Address.objects.filter(number=number).first()
        if customer is None:
            raise ValidationError(
                _("There is no address with the number %(number)s."), params={"number": number}
            )
        return customer


class PropertiesForm(forms.Form):
    """State, priority, queue, assignee and project of one ticket.

    The form carries the values it was opened with: only what was changed *in the form* counts as a change, so
    that a page left open does not undo what a customer's mail or a colleague has changed meanwhile.
    """

    state = forms.ChoiceField(label=_("State"), choices=Ticket.State.choices)
    priority = forms.TypedChoiceField(label=_("Priority"), choices=Ticket.Priority.choices, coerce=int)
    queue = forms.ModelChoiceField(label=_("Queue"), queryset=Queue.objects.none(), empty_label=None)
    assignee = forms.ModelChoiceField(
        label=_("Assignee"), queryset=User.objects.none(), required=False, empty_label=_("nobody")
    )
    project = forms.ModelChoiceField(
        label=_("Project"),
        queryset=Project.objects.filter(is_active=True),
        required=False,
        empty_label=pgettext_lazy("project", "none"),
    )

    def __init__(self, *args: Any, queues: Iterable[Queue], assignees: Iterable[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = True
            field.widget.attrs["class"] = "form-select form-select-sm"
        self.fields["queue"].queryset = queues  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["assignee"].queryset = assignees  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["assignee"].label_from_instance = person  # type: ignore[attr-defined]  # a ModelChoiceField

    def opened_with(self) -> list[SafeString]:
        """Hidden fields holding the values the form was opened with."""
        return [self[name].as_hidden(only_initial=True) for name in self.fields]

    def changes(self) -> dict[str, Any]:
        """What was changed in the form; call after ``is_valid``."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


def person(user: User) -> str:
    """How a person is called on the pages: full name, else the login name."""
    return user.get_full_name() or user.get_username()


class CustomerForm(forms.ModelForm[Address]):
    """A new customer, made from a ticket's requester."""

    class Meta:
        model = Address
        fields = ["name", "email", "phone", "street", "postal_code", "city"]


class QueueForm(forms.ModelForm[Queue]):
    """A queue and its agents."""

    class Meta:
        model = Queue
        fields = ["name", "is_active", "agents"]
        widgets = {"agents": forms.CheckboxSelectMultiple}
        labels = {"is_active": _("Active")}
        help_texts = {
            "is_active": _("Tickets of a queue that is not active stay; new ones cannot be put into it."),
            "agents": _("Agents read and answer the tickets of this queue."),
        }

    layout = (Fieldset("", ("name", 8), "is_active", "agents"),)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        agents = User.objects.filter(is_active=True, groups__name=roles.AGENT).order_by(
            "last_name", "username"
        )
        self.fields["agents"].queryset = agents  # type: ignore[attr-defined]  # a ModelMultipleChoiceField
        self.fields["agents"].label_from_instance = person  # type: ignore[attr-defined]  # likewise

    def audited_state(self, queue: Queue | None) -> dict[str, Any]:
        """What the audit record compares: who gained or lost access stands there by name."""
        if queue is None:
            return {}
        names = sorted(agent.get_username() for agent in queue.agents.all())
        return {"name": queue.name, "is_active": queue.is_active, "agents": names}
