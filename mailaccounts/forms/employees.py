"""Whose account it is, or who may send from it (product §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from mailaccounts import services
from mailaccounts.models import MailAccount
from masterdata.models import Employee
from ui.layout import Fieldset

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class EmployeesForm(forms.ModelForm[MailAccount]):
    """The section *Employees*: owners of a personal account, or permitted senders of a company account."""

    employees = forms.ModelMultipleChoiceField(
        label=_("Employees"),
        queryset=Employee.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = MailAccount
        fields: tuple[str, ...] = ()

    def __init__(self, *, owner: MailAccount, user: AbstractBaseUser, **kwargs: Any) -> None:
        self.owner = owner
        self.user = user
        super().__init__(instance=owner, **kwargs)
        field = self.fields["employees"]
        field.queryset = Employee.objects.select_related("address")  # type: ignore[attr-defined]  # a ModelChoiceField
        field.initial = list(owner.employee_links.values_list("employee", flat=True))
        field.help_text = _OWNERS if self._is_personal else _SENDERS
        self.layout = (
            Fieldset(_("Belongs to") if self._is_personal else _("May send from this account"), "employees"),
        )

    @property
    def _is_personal(self) -> bool:
        return self.owner.kind == MailAccount.Kind.PERSONAL

    def clean_employees(self) -> Any:
        """A personal account belongs to somebody."""
        chosen = self.cleaned_data["employees"]
        if self._is_personal and not chosen:
            raise ValidationError(_("A personal account belongs to at least one employee."))
        return chosen

    def save(self, commit: bool = True) -> MailAccount:  # noqa: ARG002  # Django's signature
        """Replace the links."""
        services.set_employees(self.owner, self.cleaned_data["employees"])
        return self.owner

    def audited_state(self, _instance: MailAccount | None) -> dict[str, Any]:
        """Names of the employees as the database has them now."""
        links = self.owner.employee_links.select_related("employee__address").order_by(
            "employee__address__name"
        )
        return {"employees": [str(link.employee) for link in links]}


_OWNERS = _("They and their substitutes may see this account and send from it.")
_SENDERS = _("Nobody chosen: all staff may send from this account.")
