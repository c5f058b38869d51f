"""A new ticket that begins with a mail of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mailkit.errors import MailError
from masterdata.models import Address
from outbound.errors import NoTransport
from outbound.selectors import senders_for
from tickets import services
from tickets.access import queues_to_open_in, works_tickets
from tickets.forms import NewTicketForm
from tickets.wording import refusal
from ui.views import PageMixin

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from ui.views.base import Crumb


class TicketCreatePage(PageMixin):
    """Write to somebody and open a ticket with it. ``?customer=<id>`` fills in the recipient."""

    template_name = "tickets/create.html"
    heading = _("New ticket")
    subheading = _("The e-mail opens a ticket; the answer comes back to it.")

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return works_tickets(user)

    def get_crumbs(self) -> list[Crumb]:
        return [(_("Tickets"), reverse("tickets:list"))]

    def get_form(self, **arguments: Any) -> NewTicketForm:
        """The form with the user's senders and queues."""
        queues = queues_to_open_in(self.user)
        return NewTicketForm(senders=senders_for(self.user), queues=queues, **arguments)

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Show the form."""
        return self.render(form=self.get_form(initial=self._initial()))

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Open the ticket and queue its mail; the form again where something is missing (422)."""
        form = self.get_form(data=request.POST, files=request.FILES)
        if not form.is_valid():
            return self.render(form=form, status=422)
        fields = dict(form.cleaned_data)
        customer = fields.pop("customer_number")
        try:
            ticket = services.create_ticket(by=self.user, customer=customer, **fields)
        except (NoTransport, MailError) as error:
            form.add_error(None, refusal(error))
            return self.render(form=form, status=422)
        return redirect(ticket)

    def _initial(self) -> dict[str, str]:
        asked = self.request.GET.get("customer", "")
        customer = Address.objects.filter(pk=asked).first() if asked.isdecimal() and len(asked) < 19 else None
        return {"to": customer.email, "customer_number": customer.number} if customer else {}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds whether anything can be sent at all: the page says so before anything is written."""
        form: NewTicketForm = kwargs["form"]
        senders = form.fields["from_address"].choices  # type: ignore[attr-defined]  # a ChoiceField
        has_queue = form.fields["queue"].queryset.exists()  # type: ignore[attr-defined]  # a ModelChoiceField
        return super().get_context_data(
            has_senders=bool(senders),
            has_queue=has_queue,
            back_url=reverse("tickets:list"),
            submit_label=_("Send"),
            **kwargs,
        )
