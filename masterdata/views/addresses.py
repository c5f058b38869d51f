"""Addresses with their contact persons, and what happened with them."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from masterdata import access, timeline
from masterdata.forms import AddressForm, ContactPersonForm
from masterdata.models import Address, ContactPerson
from ui import formatting
from ui.csv_export import Column
from ui.views import DeletePage, FormWithRowsPage, ListPage, Option, Segments
from ui.views.base import Crumb


class AddressList(access.ForAddressUsers, ListPage):
    """All addresses, by role."""

    heading = gettext_lazy("Addresses")
    queryset = Address.objects.prefetch_related(
        Prefetch("contact_persons", ContactPerson.objects.order_by("name", "pk"))
    )
    table_template = "masterdata/_address_table.html"
    sorts = {"name": ("name", "id"), "number": ("number",), "city": ("city", "name", "id")}
    default_sort = "name"
    search_placeholder = gettext_lazy("Name, number, e-mail, town, contact person")
    filters = (
        Segments(
            "role",
            gettext_lazy("Role"),
            (
                Option("", gettext_lazy("All")),
                Option("customer", gettext_lazy("Customers"), Q(is_customer=True)),
                Option("supplier", gettext_lazy("Suppliers"), Q(is_supplier=True)),
                Option("employee", gettext_lazy("Employees"), Q(is_employee=True)),
            ),
            counts=True,
        ),
    )
    csv_name = "addresses"
    csv_columns = (
        Column(gettext_lazy("number"), "number"),
        Column(gettext_lazy("name"), "name"),
        Column(gettext_lazy("e-mail"), "email"),
        Column(gettext_lazy("phone"), "phone"),
        Column(gettext_lazy("street"), "street"),
        Column(gettext_lazy("postal code"), "postal_code"),
        Column(gettext_lazy("city"), "city"),
    )
    empty_icon = "people"
    empty_title = gettext_lazy("No addresses yet")
    empty_text = gettext_lazy("Mail from a known address finds its customer by itself.")
    create_label = gettext_lazy("Add address")

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Every word in the address or in one of its contact persons; EXISTS, so that no row comes twice."""
        for word in text.split():
            persons = ContactPerson.objects.filter(address=OuterRef("pk"))
            own = (
                Q(name__icontains=word)
                | Q(number__icontains=word)
                | Q(email__icontains=word)
                | Q(city__icontains=word)
            )
            theirs = Exists(persons.filter(Q(name__icontains=word) | Q(email__icontains=word)))
            queryset = queryset.filter(own | Q(theirs))
        return queryset

    def count_text(self, count: int) -> str:
        """How many."""
        return ngettext("%(count)s address", "%(count)s addresses", count) % {
            "count": formatting.number(count)
        }

    def get_create_url(self) -> str:
        """Everybody who sees the list may add."""
        return reverse("masterdata:address_create")


class AddressPage(access.ForAddressUsers, FormWithRowsPage[Address]):
    """One address."""

    template_name = "masterdata/address.html"
    form_class = AddressForm
    queryset = Address.objects.all()
    create_heading = gettext_lazy("New address")
    row_form_class = ContactPersonForm
    row_relation = "contact_persons"
    rows_legend = gettext_lazy("Contact persons")
    row_add_label = gettext_lazy("Another contact person")

    def get_crumbs(self) -> list[Crumb]:
        """Below the list."""
        return [(_("Addresses"), reverse("masterdata:address_list"))]

    def get_subheading(self) -> str:
        """The number."""
        return _("Number %(number)s") % {"number": self.object.number} if self.object else ""

    def get_delete_url(self) -> str:
        """Asked for on a page of its own."""
        return reverse("masterdata:address_delete", args=[self.kwargs["pk"]])

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds what the rooms above tell about the address."""
        entries = timeline.entries(self.object, self.user) if self.object else []
        return super().get_context_data(timeline=entries, **kwargs)


class AddressDeletePage(access.ForAddressUsers, DeletePage[Address]):
    """Delete an address that nothing uses."""

    queryset = Address.objects.all()

    def get_crumbs(self) -> list[Crumb]:
        """Below the address."""
        return [
            (_("Addresses"), reverse("masterdata:address_list")),
            (str(self.object), self.object.get_absolute_url()),
        ]

    def get_success_url(self) -> str:
        """The list."""
        return reverse("masterdata:address_list")
