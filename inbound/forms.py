"""Forms of the room: the reason of an emergency view, and the account's autoresponder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from inbound import autoreply_text
from inbound.models import AutoresponderOptions
from mailaccounts.models import MailAccount
from ui.layout import Fieldset, Reveal

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

MAX_HTML_CHARS = 20_000


class ReasonForm(forms.Form):
    """Why; stands in the audit record."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        strip=True,
        help_text=gettext_lazy("Stands in the audit record together with your name."),
    )


class AutoresponderForm(forms.ModelForm[AutoresponderOptions]):
    """Section "Autoresponder" of an account (product §7)."""

    layout = (
        Fieldset(
            gettext_lazy("Automatic answer"),
            Reveal("is_enabled", "once_a_day", "subject", "html"),
        ),
    )

    class Meta:
        model = AutoresponderOptions
        fields = ["is_enabled", "once_a_day", "subject", "html"]
        widgets = {
            "html": forms.Textarea(attrs={"rows": 12, "maxlength": MAX_HTML_CHARS, "spellcheck": "true"})
        }
        help_texts = {
            "is_enabled": gettext_lazy(
                "Answers each incoming e-mail at once. Never answered: newsletters, lists, bounces, other "
                "automatic answers, no-reply senders and our own addresses (RFC 3834). What came before the "
                "switch was set, or is older than 24 hours, is not answered either."
            ),
            "once_a_day": gettext_lazy(
                "On: a sender gets at most one automatic answer per calendar day, and none within 20 hours "
                "of the last one, so that two e-mails around midnight are not both answered. Off: every "
                "e-mail is answered, up to 5 per sender and day and 300 per account and hour."
            ),
            "subject": gettext_lazy(
                "Variables: {TICKET} is the ticket number, {BETREFF} the subject of the incoming e-mail."
            ),
            "html": gettext_lazy(
                "Plain lines, or HTML with paragraphs, emphasis, lists and links; a plain text goes along. "
                "{BETREFF} is "
                "shortened to 200 characters and loses its links. A shop may answer its forms by itself: "
                "then leave their sender out of the contact form senders of this account."
            ),
        }

    def __init__(
        self,
        *,
        owner: MailAccount,
        user: AbstractBaseUser | AnonymousUser,  # noqa: ARG002  # every section's form is called alike
        **kwargs: Any,
    ) -> None:
        options = AutoresponderOptions.objects.filter(account=owner).first()
        super().__init__(instance=options or _suggested(owner), **kwargs)
        for name in ("subject", "html"):
            self.fields[name].required = not self.is_bound or bool(self.data.get("is_enabled"))

    def clean_html(self) -> str:
        """Only what may be sent."""
        html: str = self.cleaned_data["html"]
        if len(html) > MAX_HTML_CHARS:
            raise forms.ValidationError(_("The text is too long."))
        return autoreply_text.sanitise(html)

    def clean_subject(self) -> str:
        """On one line, whatever was pasted."""
        return " ".join(str(self.cleaned_data["subject"]).split())

    def clean(self) -> dict[str, Any]:
        """Formatting alone is no text."""
        data = super().clean() or {}
        if data.get("is_enabled") and "html" in data and not _visible(data["html"]):
            self.add_error("html", _("An automatic answer needs a text."))
        return data

    def save(self, commit: bool = True) -> AutoresponderOptions:
        """Remember when the switch was set: mail received before is not answered."""
        if not self.instance.is_enabled:
            self.instance.enabled_at = None
        elif "is_enabled" in self.changed_data or self.instance.enabled_at is None:
            self.instance.enabled_at = timezone.now()
        return super().save(commit)


def _visible(html: str) -> str:
    return autoreply_text.render_text(html).strip()


def _suggested(owner: MailAccount) -> AutoresponderOptions:
    return AutoresponderOptions(
        account=owner,
        subject=_("Your message [#{TICKET}]: {BETREFF}"),
        html=_(
            "<p>Good day,</p>\n<p>thank you for your message “{BETREFF}”. It has the number {TICKET}. "
            "We will answer as soon as we can.</p>"
        ),
    )
