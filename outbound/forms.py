"""What a person chooses when a mail is sent again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mailaccounts.models import MailAccount
from outbound.throttling import sending_accounts


class SendAgainForm(forms.Form):
    """Through which account, and, where the mail may have arrived already, that this is meant."""

    account = forms.ModelChoiceField(
        queryset=MailAccount.objects.none(),
        required=False,
        label=_("Send through"),
        empty_label=_("the account of the sender address"),
        help_text=_("The sender address stays; another account only carries the e-mail."),
    )
    is_confirmed = forms.BooleanField(label=_("The e-mail may arrive twice; send it anyway"), required=True)

    def __init__(self, *args: Any, user: Any, needs_confirmation: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usable = MailAccount.objects.usable_by(user)
        accounts = sending_accounts().filter(pk__in=usable.values("pk"))
        field = self.fields["account"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = accounts.order_by("display_name")
        if not needs_confirmation:
            del self.fields["is_confirmed"]
