"""The section *Ticketsystem* of an account (product §4). What cannot be undone is asked for, counted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audit import services as audit
from mailaccounts.forms.fields import LinesField
from mailaccounts.models import MailAccount
from mailkit.addresses import normalise, validate
from mailkit.errors import InvalidAddress
from masterdata.models import Project
from tickets.backlog import backlog
from tickets.models import Queue, TicketOptions
from tickets.numbering import berlin_today
from ui import formatting
from ui.layout import Fieldset, Reveal

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

# Everything imported ever: what a confirmed backlog may delete.
_FROM_THE_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


def check_form_sender(line: str) -> str:
    """An e-mail address in its comparable form. Raises ValidationError naming what is none."""
    try:
        return normalise(validate(line))
    except InvalidAddress:
        raise ValidationError(
            _("“%(line)s” is not an e-mail address."), params={"line": line}, code="invalid"
        ) from None


class TicketOptionsForm(forms.ModelForm[TicketOptions]):
    """Saves the options, reopens excluded mail that a "from date" lets in, sets from when on mail is deleted.

    The confirmations (``confirm_*``, ``deletes_backlog``, ``password``) appear only where something needs
    them: saving is refused once and says what will happen.
    """

    contact_form_senders = LinesField(
        label=gettext_lazy("Contact form senders"),
        check=check_form_sender,
        required=False,
        help_text=gettext_lazy(
            "E-mails from these addresses, one a line, count as written by their Reply-To: "
            "it becomes the customer and receives the answers."
        ),
    )
    confirm_backlog = forms.BooleanField(required=False)
    confirm_deletion = forms.BooleanField(
        label=gettext_lazy("Yes, delete imported e-mails on the server; this cannot be undone"),
        required=False,
    )
    deletes_backlog = forms.BooleanField(required=False)
    password = forms.CharField(
        label=gettext_lazy("Your password"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text=gettext_lazy("Switching deletion on asks for the password you sign in with."),
    )

    layout = (
        Fieldset(
            gettext_lazy("Import"),
            Reveal(
                "is_enabled",
                ("default_queue", 6),
                ("default_project", 6),
                ("from_date", 6),
                "confirm_backlog",
            ),
            "closes_on_import",
        ),
        Fieldset(gettext_lazy("Answers"), "answers_from_own_address", "contact_form_senders"),
        Fieldset(
            gettext_lazy("Mailbox on the server"),
            Reveal("deletes_on_server", "confirm_deletion", "deletes_backlog", ("password", 6)),
        ),
    )

    class Meta:
        model = TicketOptions
        fields = (
            "is_enabled", "default_queue", "default_project", "from_date", "closes_on_import",
            "answers_from_own_address", "contact_form_senders", "deletes_on_server",
        )  # fmt: skip
        widgets = {"from_date": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")}
        labels = {
            "is_enabled": gettext_lazy("Ticket system"),
            "from_date": gettext_lazy("From date"),
            "closes_on_import": gettext_lazy("Mark tickets as closed"),
            "answers_from_own_address": gettext_lazy("Outgoing e-mail address"),
            "deletes_on_server": gettext_lazy("Delete e-mails on the server"),
        }
        help_texts = {
            "is_enabled": gettext_lazy("E-mails to this account become tickets."),
            "from_date": gettext_lazy(
                "E-mails the server received before this day do not become tickets. Empty: all of them do."
            ),
            "closes_on_import": gettext_lazy(
                "Imported tickets are closed at once and stay closed until somebody answers or reopens them."
            ),
            "answers_from_own_address": gettext_lazy(
                "On: answers come from the address the e-mail was sent to. "
                "Off: from the sender e-mail address of SMTP."
            ),
            "deletes_on_server": gettext_lazy(
                "Deletes for good what has been imported and stored here from now on. "
                "Off: the mailbox on the server is never changed."
            ),
        }

    def __init__(self, *, owner: MailAccount, user: AbstractBaseUser, **kwargs: Any) -> None:
        self.owner, self.user = owner, user
        stored = TicketOptions.objects.filter(account=owner).first()
        instance = stored or TicketOptions(account=owner, from_date=berlin_today())
        self._before = (instance.is_enabled, instance.from_date)
        self._deleted_before = instance.deletes_on_server
        self.excluded = 0
        super().__init__(instance=instance, **kwargs)
        self._narrow_choices()
        if not self.is_bound:
            self._drop("confirm_backlog", "confirm_deletion", "password")
            self._offer_backlog()

    # -- drawing --

    def _narrow_choices(self) -> None:
        queue, project = self.fields["default_queue"], self.fields["default_project"]
        if isinstance(queue, forms.ModelChoiceField):
            queue.queryset = Queue.objects.filter(Q(is_active=True) | Q(pk=self.instance.default_queue_id))
        if isinstance(project, forms.ModelChoiceField):
            project.queryset = Project.objects.filter(
                Q(is_active=True) | Q(pk=self.instance.default_project_id)
            )
            project.empty_label = _("no project")

    def _drop(self, *names: str) -> None:
        for name in names:
            self.fields.pop(name, None)

    def _offer_backlog(self) -> None:
        """Offer to delete what was imported earlier, with its number; nothing is deleted unasked."""
        count = 0
        if self.instance.pk and self.instance.delete_imported_after != _FROM_THE_START:
            count = backlog.count_deletable(self.owner)
        if not count:
            self._drop("deletes_backlog")
            return
        label = ngettext(
            "Also delete the %(count)s e-mail imported earlier",
            "Also delete the %(count)s e-mails imported earlier",
            count,
        )
        self._relabel("deletes_backlog", label % {"count": formatting.number(count)})

    def _relabel(self, name: str, label: str) -> None:
        """Name a field that may have been looked up already: the bound one keeps the label it found."""
        self.fields[name].label = self[name].label = label

    # -- checking --

    def clean_contact_form_senders(self) -> str:
        """One address a line and each once, as the column holds them."""
        return "\n".join(dict.fromkeys(self.cleaned_data["contact_form_senders"]))

    def clean(self) -> dict[str, Any]:
        """What concerns several fields, and the confirmations."""
        data = super().clean() or self.cleaned_data
        if data.get("is_enabled") and not data.get("default_queue"):
            self.add_error("default_queue", _("New tickets need a queue."))
        self._check_backlog(data)
        self._check_deletion(data)
        self._offer_backlog()
        return data

    def _check_backlog(self, data: dict[str, Any]) -> None:
        """Mail that comes in by moving the date back, or by switching on, is counted before it comes."""
        changed = (data.get("is_enabled", False), data.get("from_date")) != self._before
        if changed and data.get("is_enabled") and "from_date" in data:
            self.excluded = backlog.count_excluded(self.owner, data["from_date"])
        if not self.excluded:
            self._drop("confirm_backlog")
            return
        self._relabel("confirm_backlog", _confirmation(self.excluded, data["from_date"]))
        if not data.get("confirm_backlog"):
            self.add_error("confirm_backlog", _("Tick to let them come, or choose a later date."))

    def _check_deletion(self, data: dict[str, Any]) -> None:
        wants_backlog = bool(data.get("deletes_on_server") and data.get("deletes_backlog"))
        if not data.get("deletes_on_server") or (self._deleted_before and not wants_backlog):
            self._drop("confirm_deletion", "password")
            return
        self.fields["password"].required = True  # as the page shall show it
        if not data.get("confirm_deletion"):
            self.add_error("confirm_deletion", _("Deletion on the server is final. Tick to switch it on."))
        if not self.user.check_password(data.get("password", "")):
            self.add_error("password", _("Enter the password you sign in with."))

    # -- saving --

    def save(self, commit: bool = True) -> TicketOptions:  # Django's signature
        """Save, and let excluded mail come that the new date lets in; in the caller's transaction."""
        self.instance.delete_imported_after = self._deletes_after()
        saved = super().save(commit)
        if self.excluded:
            backlog.reopen(self.owner, saved.from_date)
        return saved

    def _deletes_after(self) -> datetime | None:
        if not self.cleaned_data["deletes_on_server"]:
            return None
        if self.cleaned_data.get("deletes_backlog"):
            return _FROM_THE_START
        return self.instance.delete_imported_after or timezone.now()

    def audited_state(self, instance: TicketOptions | None) -> dict[str, Any]:
        """The options as the audit record compares them, with the moment from which mail is deleted."""
        if instance is None:
            return {}
        return audit.snapshot(instance, (*self.Meta.fields, "delete_imported_after"))


def _confirmation(count: int, from_date: date | None) -> str:
    if from_date is None:
        text = ngettext(
            "Yes, %(count)s earlier e-mail shall become a ticket",
            "Yes, %(count)s earlier e-mails shall become tickets",
            count,
        )
        return text % {"count": formatting.number(count)}
    text = ngettext(
        "Yes, %(count)s e-mail received since %(day)s shall become a ticket",
        "Yes, %(count)s e-mails received since %(day)s shall become tickets",
        count,
    )
    return text % {"count": formatting.number(count), "day": formatting.day(from_date)}
