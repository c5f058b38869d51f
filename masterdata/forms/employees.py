"""Employees and their substitutions."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from masterdata import services
from masterdata.models import Address, Employee, Substitution
from ui.layout import Fieldset, Reveal


class EmployeeForm(forms.ModelForm[Employee]):
    """An employee: an address, a login, an own e-mail address."""

    name = forms.CharField(
        label=_("Name of a new address"),
        max_length=200,
        required=False,
        help_text=_("Only where no address is chosen beside: it is created with the role employee"),
    )

    layout = (
        Fieldset(_("Person"), ("address", 6), ("name", 6), ("user", 6)),
        Fieldset(
            _("Own e-mail address"),
            ("email", 8),
            Reveal("prefer_own_email"),
        ),
    )

    class Meta:
        model = Employee
        fields = ["address", "user", "email", "prefer_own_email"]
        labels = {"address": _("Address"), "user": _("Signs in as")}
        help_texts = {
            "email": _("Empty means: the e-mail address of the address"),
            "prefer_own_email": _("Preselected as sender instead of the company's main address"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = self.instance.pk
        address = self.fields["address"]
        address.queryset = _addresses_for(self.instance)  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["user"].queryset = _users_for(self.instance)  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["user"].empty_label = _("does not sign in")  # type: ignore[attr-defined]  # a ModelChoiceField
        if mine:
            del self.fields["name"]
            address.disabled = True
        else:
            address.required = False
            address.empty_label = _("create a new address")  # type: ignore[attr-defined]  # a ModelChoiceField

    def clean(self) -> dict[str, Any]:
        """Either an address or a name; preferring one's own address needs one."""
        data = super().clean() or {}
        if not self.instance.pk and not data.get("address") and not data.get("name"):
            self.add_error("name", _("Choose an address beside, or give a name."))
        own = data.get("email") or (data["address"].email if data.get("address") else "")
        if data.get("prefer_own_email") and not own and "email" not in self.errors:
            self.add_error("email", _("Preferring the own address needs one."))
        return data

    def save(self, commit: bool = True) -> Employee:  # Django's signature
        """Save, with the new address first."""
        if commit and not self.cleaned_data.get("address"):
            self.instance.address = services.create_address(name=self.cleaned_data["name"], is_employee=True)
        return super().save(commit)


class SubstitutionForm(forms.ModelForm[Substitution]):
    """Who has this employee's access, from–to."""

    layout = (Fieldset("", ("substitute", 6), ("starts_on", 3), ("ends_on", 3)),)

    class Meta:
        model = Substitution
        fields = ["substitute", "starts_on", "ends_on"]
        labels = {"substitute": _("Substitute")}
        widgets = {
            "starts_on": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "ends_on": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["substitute"].empty_label = _("choose")  # type: ignore[attr-defined]  # a ModelChoiceField
        self.fields["substitute"].queryset = Employee.objects.select_related("address")  # type: ignore[attr-defined]  # a ModelChoiceField

    def clean(self) -> dict[str, Any]:
        """The period ends after it began; nobody substitutes themselves."""
        data = super().clean() or {}
        starts, ends = data.get("starts_on"), data.get("ends_on")
        if starts and ends and ends < starts:
            self.add_error("ends_on", _("The substitution ends before it begins."))
        if data.get("substitute") and data["substitute"].pk == self.instance.employee_id:
            self.add_error("substitute", _("Somebody else has to stand in."))
        return data


def _addresses_for(employee: Employee) -> Any:
    """Addresses with the role that no other employee has."""
    free = Q(is_employee=True, employee=None)
    return Address.objects.filter(free | Q(pk=employee.address_id))


def _users_for(employee: Employee) -> Any:
    """Users without an employee, and the present one."""
    return User.objects.filter(Q(employee=None, is_active=True) | Q(pk=employee.user_id)).order_by("username")
