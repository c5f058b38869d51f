"""Addresses and their contact persons."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from masterdata import services
from masterdata.models import Address, ContactPerson
from ui.layout import Fieldset


class AddressForm(forms.ModelForm[Address]):
    """A customer, supplier or employee; an empty number is given out when saving."""

    layout = (
        Fieldset("", ("name", 8), ("number", 4)),
        Fieldset(_("Roles"), ("is_customer", 4), ("is_supplier", 4), ("is_employee", 4)),
        Fieldset(_("Reachable by"), ("email", 6), ("phone", 6), ("mobile", 6), ("fax", 6), ("language", 6)),
        Fieldset(_("Postal address"), "street", ("postal_code", 4), ("city", 8)),
    )

    class Meta:
        model = Address
        fields = [
            "name", "number", "is_customer", "is_supplier", "is_employee", "email", "phone", "mobile", "fax",
            "language", "street", "postal_code", "city",
        ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["number"].required = False
        if not self.instance.pk:
            self.fields["number"].help_text = _("Left empty, the next free one is taken")

    def clean_number(self) -> str:
        """An address keeps its number."""
        number: str = self.cleaned_data["number"]
        return number or self.instance.number

    def clean_is_employee(self) -> bool:
        """The role stays while an employee hangs on the address."""
        ticked: bool = self.cleaned_data["is_employee"]
        if not ticked and self.instance.pk and hasattr(self.instance, "employee"):
            raise forms.ValidationError(_("An employee belongs to this address; delete the employee first."))
        return ticked

    def save(self, commit: bool = True) -> Address:  # Django's signature
        """Save, and number a new address that has none."""
        if not commit or self.instance.pk or self.instance.number:
            return super().save(commit)
        fields = {name: self.cleaned_data[name] for name in self.fields if name not in {"name", "number"}}
        self.instance = services.create_address(name=self.cleaned_data["name"], **fields)
        return self.instance


class ContactPersonForm(forms.ModelForm[ContactPerson]):
    """One contact person, a row of the address form."""

    layout = (Fieldset("", ("name", 6), ("function", 6), ("email", 6), ("phone", 6)),)

    class Meta:
        model = ContactPerson
        fields = ["name", "function", "email", "phone"]
