"""Employees and their substitutions."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from masterdata import access
from masterdata.forms import EmployeeForm, SubstitutionForm
from masterdata.models import Employee, Substitution
from masterdata.views.settings import settings_crumb
from ui import formatting
from ui.csv_export import Column
from ui.views import DeletePage, FormWithRowsPage, ListPage
from ui.views.base import Crumb


class EmployeeList(access.ForMailAdministrators, ListPage):
    """All employees, with who stands in for them today."""

    heading = gettext_lazy("Employees")
    table_template = "masterdata/_employee_table.html"
    sorts = {"name": ("address__name", "pk")}
    default_sort = "name"
    search_fields = ("address__name__icontains", "email__icontains", "user__username__icontains")
    search_placeholder = gettext_lazy("Name, e-mail or login")
    csv_name = "employees"
    csv_columns = (
        Column(gettext_lazy("name"), "address.name"),
        Column(gettext_lazy("Signs in as"), "user.username"),
        Column(gettext_lazy("own e-mail address"), "email"),
        Column(gettext_lazy("prefer own e-mail address"), "prefer_own_email"),
    )
    empty_icon = "people"
    empty_title = gettext_lazy("No employees yet")
    empty_text = gettext_lazy("Employees own personal mailboxes and can stand in for each other.")
    create_label = gettext_lazy("Add employee")

    def get_queryset(self) -> Any:
        """Employees with address, login and today's substitutes."""
        running = Substitution.objects.running().select_related("substitute__address")
        return Employee.objects.select_related("address", "user").prefetch_related(
            Prefetch("substitutions", running, to_attr="running_substitutions")
        )

    def count_text(self, count: int) -> str:
        """How many."""
        return ngettext("%(count)s employee", "%(count)s employees", count) % {
            "count": formatting.number(count)
        }

    def get_create_url(self) -> str:
        """Everybody who sees the list may add."""
        return reverse("masterdata:employee_create")

    def get_crumbs(self) -> list[Crumb]:
        """Below settings."""
        return [settings_crumb()]


class EmployeePage(access.ForMailAdministrators, FormWithRowsPage[Employee]):
    """One employee."""

    form_class = EmployeeForm
    queryset = Employee.objects.select_related("address", "user")
    create_heading = gettext_lazy("New employee")
    row_form_class = SubstitutionForm
    row_relation = "substitutions"
    row_fk = "employee"
    rows_legend = gettext_lazy("Substitution")
    rows_help = gettext_lazy("Whoever stands in has the same access, both days included.")
    row_add_label = gettext_lazy("Another substitution")

    def get_crumbs(self) -> list[Crumb]:
        """Below the list."""
        return [settings_crumb(), (_("Employees"), reverse("masterdata:employee_list"))]

    def get_delete_url(self) -> str:
        """Asked for on a page of its own."""
        return reverse("masterdata:employee_delete", args=[self.kwargs["pk"]])


class EmployeeDeletePage(access.ForMailAdministrators, DeletePage[Employee]):
    """Delete an employee; the address and the login stay."""

    queryset = Employee.objects.select_related("address")

    def get_consequences(self) -> list[str]:
        """What goes and what stays."""
        return [
            _("%(name)s will no longer be an employee: mailboxes and substitutions are taken away.")
            % {"name": self.object},
            _("The address and the login stay."),
        ]

    def get_crumbs(self) -> list[Crumb]:
        """Below the employee."""
        return [
            (_("Employees"), reverse("masterdata:employee_list")),
            (str(self.object), self.object.get_absolute_url()),
        ]

    def get_success_url(self) -> str:
        """The list."""
        return reverse("masterdata:employee_list")
