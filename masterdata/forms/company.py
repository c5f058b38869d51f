"""Basic settings and projects."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from masterdata.models import Company, Project
from ui.layout import Fieldset


class CompanyForm(forms.ModelForm[Company]):
    """Basic settings (Grundeinstellungen)."""

    layout = (
        Fieldset(_("Company"), "name", "particulars"),
        Fieldset(
            _("Sending"),
            ("main_address", 6),
            ("sender_name", 6),
            help=_("Mails the system writes itself come from the main address."),
        ),
    )

    class Meta:
        model = Company
        fields = ["name", "particulars", "main_address", "sender_name"]
        widgets = {"particulars": forms.Textarea(attrs={"rows": 5})}
        help_texts = {
            "particulars": _("Legal form, seat, register court and number, managing directors, VAT id"),
            "main_address": _("Needs an e-mail account with this address and SMTP switched on"),
        }


class ProjectForm(forms.ModelForm[Project]):
    """A project."""

    layout = (
        Fieldset(_("Project"), ("name", 8), ("key", 4), "is_active"),
        Fieldset(_("Sending"), ("preferred_sender", 8)),
    )

    class Meta:
        model = Project
        fields = ["name", "key", "preferred_sender", "is_active"]
        help_texts = {
            "key": _("Short, for lists"),
            "preferred_sender": _("Preselected as sender of mails of this project"),
            "is_active": _("Offered where projects are chosen"),
        }
