"""Whose ticket it is: choose the customer among the addresses, or create one from the requester."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from audit import services as audit
from masterdata.access import may_use_addresses
from masterdata.models import Address
from masterdata.services import create_address
from tickets import services
from tickets.forms import CustomerForm
from tickets.models import Ticket
from tickets.views.base import TicketMixin
from ui.views.base import Crumb

HITS = 20


class CustomerPage(TicketMixin):
    """Search the addresses; each hit has a button that makes it the ticket's customer."""

    template_name = "tickets/customer.html"
    ticket: Ticket

    def get_heading(self) -> str | Promise:
        return _("Customer of the ticket")

    def get_crumbs(self) -> list[Crumb]:
        return [
            (_("Tickets"), reverse("tickets:list")),
            (f"#{self.ticket.number}", self.ticket.get_absolute_url()),
        ]

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Show what matches; at first, what resembles the requester."""
        self.ticket = self.find_ticket()
        return self.show()

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Make the address of ``customer`` the customer; an empty value leaves the ticket without one."""
        ticket = self.find_ticket()
        asked = request.POST.get("customer", "")
        if asked and not asked.isdecimal():
            raise Http404
        customer = get_object_or_404(Address, pk=asked) if asked else None
        services.change_ticket(ticket=ticket, by=self.user, customer=customer)
        return redirect(ticket)

    def show(self, *, form: CustomerForm | None = None, status: int = 200) -> HttpResponseBase:
        """The page with the search's hits and the form for a new address."""
        text = self.request.GET.get("q", "").replace("\0", "").strip()[:100]
        may_create = may_use_addresses(self.user)
        return self.render(
            status=status,
            ticket=self.ticket,
            hits=list(find_addresses(text or _domain(self.ticket.requester_address))[:HITS]),
            search_text=text,
            may_create=may_create,
            form=form or CustomerForm(initial=_from_requester(self.ticket)),
        )


class CustomerCreateView(CustomerPage):
    """Create an address and make it the ticket's customer."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Lead to the page with the form."""
        return redirect("tickets:customer", self.find_ticket().number)

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Create it; the form again where something is missing (422); 404 without the right to addresses."""
        self.ticket = self.find_ticket()
        if not may_use_addresses(self.user):
            raise Http404
        form = CustomerForm(data=request.POST)
        if not form.is_valid():
            return self.show(form=form, status=422)
        customer = create_address(is_customer=True, **form.cleaned_data)
        audit.record(action="masterdata.address.created", obj=customer, by=self.user)
        services.change_ticket(ticket=self.ticket, by=self.user, customer=customer)
        return redirect(self.ticket)


def find_addresses(text: str) -> QuerySet[Address]:
    """Addresses that hold every word in number, name, e-mail or a contact person; none without text."""
    found = Address.objects.all() if text.strip() else Address.objects.none()
    for word in text.split()[:5]:
        own = Q(name__icontains=word) | Q(email__icontains=word) | Q(number__startswith=word)
        contact = Q(contact_persons__name__icontains=word) | Q(contact_persons__email__icontains=word)
        found = found.filter(own | contact)
    return found.distinct().order_by("name", "pk")


def _domain(address: str) -> str:
    """What colleagues of the requester have in common; a guess worth showing, not more."""
    _local, at, domain = address.rpartition("@")
    return f"@{domain}" if at else ""


def _from_requester(ticket: Ticket) -> dict[str, str]:
    return {"name": ticket.requester_name, "email": ticket.requester_address}
