"""Adding an account: general settings and IMAP, and sending through the same provider in one go."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from audit import services as audit
from mailaccounts import presets, services
from mailaccounts.forms.imap import ImapForm
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from masterdata.models import Employee


class CreateForm(ImapForm):
    """The section *IMAP* of a new account; its password may serve the provider's SMTP, too."""

    employees = forms.ModelMultipleChoiceField(
        label=_("Employees"),
        queryset=Employee.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Whose account it is, or who may send from it; nobody chosen: all staff"),
    )
    also_sends = forms.BooleanField(
        label=_("Send through this provider, too"),
        required=False,
        initial=True,
        help_text=_("Sets up SMTP with the provider's usual server; it can be changed afterwards."),
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        employees = self.fields["employees"]
        employees.queryset = Employee.objects.select_related("address")  # type: ignore[attr-defined]  # a ModelChoiceField

    def clean(self) -> dict[str, Any]:
        """A personal account belongs to somebody; IMAP without a password can be tested by nobody."""
        data = super().clean()
        if data.get("kind") == MailAccount.Kind.PERSONAL and not data.get("employees"):
            self.add_error("employees", _("A personal account belongs to at least one employee."))
        if data.get("host") and not data.get("password"):
            self.add_error("password", _("The password is missing."))
        return data

    def create(self) -> MailAccount:
        """Save the new account with its audit entry."""
        with transaction.atomic():
            self.save()
            services.set_employees(self.owner, self.cleaned_data["employees"])
            self._set_up_sending()
            state = self.audited_state(self.instance)
            changes = audit.differences({}, state, secrets={"password"})
            audit.record(action="account.created", obj=self.owner, by=self.user, changes=changes)
        return self.owner

    def _set_up_sending(self) -> None:
        preset = _preset(self.cleaned_data["preset"])
        if (
            preset is None
            or not self.cleaned_data["also_sends"]
            or not preset.matches(host=self.cleaned_data["host"])
        ):
            return
        SmtpSettings.objects.create(
            account=self.owner,
            is_enabled=True,
            host=preset.smtp_host,
            port=preset.smtp_port,
            security=preset.smtp_security,
        )


def preset_initial(slug: str) -> dict[str, Any]:
    """What choosing a provider fills into the form; nothing for own servers."""
    preset = _preset(slug)
    if preset is None:
        return {}
    return {
        "preset": preset.slug,
        "host": preset.imap_host,
        "port": preset.imap_port,
        "security": ImapSettings.Security(preset.imap_security).value,
        "copies_sent": preset.copies_sent,
    }


def _preset(slug: str) -> presets.Preset | None:
    return next((preset for preset in presets.PRESETS if preset.slug == slug), None)
