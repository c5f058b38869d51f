"""General settings and IMAP: one section, because nobody thinks of them apart (product §2)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from audit import services as audit
from mailaccounts import presets, services
from mailaccounts.forms.fields import (
    ConditionalField,
    LinesField,
    PasswordField,
    check_folder,
    check_network,
    check_port_matches,
    clean_host,
)
from mailaccounts.models import ImapSettings, MailAccount
from mailaccounts.unlocking import imap_password_targets, must_forget
from ui import formatting

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

ACCOUNT_FIELDS = ("kind", "display_name", "email", "description")
_INTERVALS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600)


class ImapForm(forms.ModelForm[ImapSettings]):
    """The section *IMAP*. ``erase_warning`` is set where saving would erase the password (T7)."""

    kind = forms.ChoiceField(label=_("Kind"), choices=MailAccount.Kind.choices)
    display_name = forms.CharField(
        label=_("Displayed name"), max_length=200, help_text=_("Sender name of e-mails from this account")
    )
    email = forms.EmailField(
        label=_("E-mail address"), max_length=254, widget=forms.EmailInput({"autocomplete": "off"})
    )
    description = forms.CharField(label=_("Internal description"), max_length=500, required=False)
    preset = forms.ChoiceField(label=_("Provider"), choices=presets.choices, required=False)
    host = ConditionalField(label=_("IMAP server"), max_length=255)
    username = forms.CharField(
        label=_("User name"), max_length=255, required=False, help_text=_("Left empty: the e-mail address")
    )
    password = PasswordField(label=_("Password"))
    folders = LinesField(
        label=_("Folders"),
        check=check_folder,
        rows=2,
        help_text=_("E-mails in these folders become tickets; one folder a line"),
    )
    poll_seconds = forms.TypedChoiceField(label=_("Polling interval"), coerce=int)
    sent_folder = ConditionalField(label=_("Folder for sent e-mails"), max_length=255)
    confirm_erase = forms.BooleanField(label=_("Save anyway and erase the stored password"), required=False)

    class Meta:
        model = ImapSettings
        fields = (
            "host",
            "port",
            "security",
            "username",
            "folders",
            "poll_seconds",
            "copies_sent",
            "sent_folder",
        )
        labels = {
            "copies_sent": _("Keep sent e-mails on the server"),
        }
        help_texts = {
            "copies_sent": _("Each e-mail sent is put into this folder on the server, marked as read.")
        }

    use_required_attribute = False

    def __init__(self, *, owner: MailAccount, user: AbstractBaseUser, **kwargs: Any) -> None:
        self.owner = owner
        self.user = user
        self.erase_warning = ""
        # A copy: what was typed and not saved must not show up beside the form as if it were so.
        instance = copy(getattr(owner, "imap", None)) or ImapSettings(account=owner, folders=["INBOX"])
        self._smtp = getattr(owner, "smtp", None)
        self._password_targets = imap_password_targets(instance, self._smtp)
        kwargs["initial"] = self._account_initial(instance) | (kwargs.get("initial") or {})
        super().__init__(instance=instance, **kwargs)
        self._shape_fields(instance)

    # -- drawing ----------------------------------------------------------------------------------------

    def _account_initial(self, instance: ImapSettings) -> dict[str, Any]:
        preset = presets.preset_for_hosts(instance.host)
        initial = {name: getattr(self.owner, name) for name in ACCOUNT_FIELDS}
        return initial | {"preset": preset.slug if preset else presets.OWN}

    def _shape_fields(self, instance: ImapSettings) -> None:
        self._password_field.show_stored(is_stored=bool(instance.password_encrypted))
        self.fields["poll_seconds"].choices = _interval_choices(instance.poll_seconds)  # type: ignore[attr-defined]  # a ChoiceField
        for name in ("host", "username", "sent_folder"):
            self.fields[name].widget.attrs |= {
                "autocapitalize": "off",
                "spellcheck": "false",
                "autocomplete": "off",
            }
        self.fields["host"].required = bool(instance.pk)
        self.fields["host"].help_text = (
            gettext("Left empty: the account only sends") if not instance.pk else ""
        )
        self.fields["sent_folder"].widget.attrs["list"] = "server-folders"
        self.fields["port"].widget = forms.NumberInput(
            {"inputmode": "numeric", "min": 1, "max": 65535, "class": "num"}
        )
        self._describe_rejection()
        if not self.is_bound:
            del self.fields["confirm_erase"]

    @property
    def _password_field(self) -> PasswordField:
        field = self.fields["password"]
        assert isinstance(field, PasswordField)  # noqa: S101  # narrows the type; declared above
        return field

    def _describe_rejection(self) -> None:
        health = getattr(self.owner, "health", None)
        if health and health.error_code == "authentication_failed" and health.last_attempt_at:
            when = formatting.short_time(health.last_attempt_at)
            self._password_field.help_text = gettext("Refused by the server, last at %(time)s.") % {
                "time": when
            }

    # -- checking ---------------------------------------------------------------------------------------

    def clean_email(self) -> str:
        """One account an address, whatever the case of its letters."""
        email: str = self.cleaned_data["email"]
        others = MailAccount.objects.filter(email__iexact=email).exclude(pk=self.owner.pk)
        known = others.first()
        if known:
            raise ValidationError(
                _("There is an account with this address already: %(name)s."),
                params={"name": known.display_name},
            )
        return email

    def clean_host(self) -> str:
        """The bare name of the server; "" for an account that only sends."""
        host: str = self.cleaned_data["host"]
        if not host and self.instance.pk:
            raise ValidationError(_("Polling can be put on hold with “Hold”; the server's name stays."))
        return clean_host(host) if host else ""

    def clean_folders(self) -> list[str]:
        """The folders named and, after them, those ticked in the server's list."""
        ticked = self.data.getlist("folder_choices") if isinstance(self.data, QueryDict) else []
        return list(dict.fromkeys([*self.cleaned_data["folders"], *map(check_folder, ticked)]))

    def clean(self) -> dict[str, Any]:
        """What concerns several fields, and the warning before a password is erased (T7)."""
        data = super().clean() or self.cleaned_data
        data["username"] = data.get("username") or data.get("email", "")
        if data.get("copies_sent") and not data.get("sent_folder"):
            self.add_error("sent_folder", _("Choose the folder, or switch the copies off."))
        self._check_folder_name(data)
        self._check_server(data)
        if not self.errors:
            self._warn_before_erasing(data)
        if not self.erase_warning:
            self.fields.pop("confirm_erase", None)
        return data

    def _check_folder_name(self, data: Mapping[str, Any]) -> None:
        try:
            check_folder(data.get("sent_folder") or "INBOX")
        except ValidationError as error:
            self.add_error("sent_folder", error)

    def _check_server(self, data: Mapping[str, Any]) -> None:
        host, port, security = (data.get(name) for name in ("host", "port", "security"))
        if not host or port is None or security is None:
            return
        try:
            check_port_matches(port, security)
        except ValidationError as error:
            self.add_error("security", error)
            return
        try:
            check_network(host, port, security)
        except ValidationError as error:
            self.add_error(None, error)

    def _warn_before_erasing(self, data: Mapping[str, Any]) -> None:
        if not self.erases_password(data) or data.get("password"):
            return
        self.erase_warning = gettext(
            "The stored password was entered for %(server)s. With these changes it will be erased, "
            "so that it is "
            "never sent to another server. Enter it anew above to keep the account working."
        ) % {"server": self.instance}
        if not data.get("confirm_erase"):
            self.add_error("confirm_erase", _("Tick to save without a password."))

    def erases_password(self, data: Mapping[str, Any]) -> bool:
        """Whether the stored password may not serve the servers that ``data`` names."""
        if not self.instance.password_encrypted:
            return False
        changed = ImapSettings(**{name: data[name] for name in ("host", "port", "security", "username")})
        after = imap_password_targets(changed, self._smtp)
        return must_forget(self._password_targets, after)

    # -- saving -----------------------------------------------------------------------------------------

    def save(self, commit: bool = True) -> ImapSettings:  # Django's signature
        """Save account and IMAP settings; set, keep or erase the password."""
        is_new = self.owner.pk is None
        if not is_new:
            self._read_passwords_again()
        for name in ACCOUNT_FIELDS:
            setattr(self.owner, name, self.cleaned_data[name])
        self.owner.save(update_fields=None if is_new else ACCOUNT_FIELDS)
        if not self.cleaned_data["host"]:
            return self.instance
        self.instance.account = self.owner
        self.instance.username = self.cleaned_data["username"]
        if self.cleaned_data["password"]:
            services.store_imap_password(self.instance, self.cleaned_data["password"])
        elif self.erases_password(self.cleaned_data):
            services.store_imap_password(self.instance, "")
        return super().save(commit)

    def _read_passwords_again(self) -> None:
        """Somebody may have saved SMTP, or another password, since this form was read (T7)."""
        stored = services.lock_account(self.owner.pk)
        imap, self._smtp = getattr(stored, "imap", None), getattr(stored, "smtp", None)
        self._password_targets = imap_password_targets(imap, self._smtp)
        if imap is not None:
            self.instance.password_encrypted = imap.password_encrypted
            self.instance.password_changed_at = imap.password_changed_at

    def audited_state(self, instance: ImapSettings | None) -> dict[str, Any]:
        """Account and IMAP settings as stored now; the password as its ciphertext, told as "changed"."""
        if instance is None:
            return {}
        account = audit.snapshot(MailAccount.objects.get(pk=self.owner.pk), ACCOUNT_FIELDS)
        if not instance.pk:
            return account
        return (
            account | audit.snapshot(instance, self.Meta.fields) | {"password": instance.password_encrypted}
        )


def _interval_choices(current: int) -> list[tuple[int, str]]:
    return [(seconds, _interval(seconds)) for seconds in sorted({*_INTERVALS, current})]


def _interval(seconds: int) -> str:
    if seconds % 60:
        return gettext("%(count)d seconds") % {"count": seconds}
    minutes = seconds // 60
    return gettext("1 minute") if minutes == 1 else gettext("%(count)d minutes") % {"count": minutes}
