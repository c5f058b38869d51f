"""Sending through the account (product §3)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from audit import services as audit
from mailaccounts import services
from mailaccounts.forms.fields import (
    ConditionalField,
    LinesField,
    PasswordField,
    check_network,
    check_port_matches,
    check_sender_pattern,
    clean_host,
)
from mailaccounts.models import MailAccount, SmtpSettings
from mailaccounts.unlocking import Target, imap_password_targets, must_forget, smtp_password_targets

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

DEBUG_LASTS = timedelta(hours=1)
_LOGIN_FIELDS = (
    "is_enabled",
    "transport",
    "host",
    "port",
    "security",
    "authentication",
    "has_own_login",
    "username",
)


class SmtpForm(forms.ModelForm[SmtpSettings]):
    """The section *SMTP*. ``erase_warning`` is set where saving would erase a password (T7).

    While SMTP borrows the login, its servers belong to what the IMAP password unlocks: ``account_password``
    enters that one anew in the same save.
    """

    host = ConditionalField(label=_("SMTP server"), max_length=255)
    username = ConditionalField(label=_("User name"), max_length=255)
    password = PasswordField(label=_("Password"))
    account_password = PasswordField(label=_("Password of the mailbox"))
    confirm_erase = forms.BooleanField(label=_("Save anyway and erase the stored password"), required=False)
    further_senders = LinesField(
        label=_("Further senders"),
        check=check_sender_pattern,
        required=False,
        help_text=_(
            "Addresses this account may also send for, one a line: name@example.com, or @example.com "
            "for a whole domain"
        ),
    )
    is_standard = forms.BooleanField(
        label=_("Standard account"),
        required=False,
        help_text=_("Carries e-mails that no other account carries. There is one at most."),
    )
    debug = forms.BooleanField(
        label=_("SMTP debug"),
        required=False,
        help_text=_(
            "Records the dialogue of each delivery without passwords and contents; switches itself "
            "off after an hour."
        ),
    )

    class Meta:
        model = SmtpSettings
        fields = (*_LOGIN_FIELDS, "sender_address", "sender_name", "client_alias")
        help_texts = {
            "is_enabled": _("Only then may this account send e-mails."),
            "has_own_login": _("Off: user name and password are those of IMAP."),
            "sender_address": _("Where it differs from the account's address"),
            "sender_name": _("Where it differs from the displayed name"),
            "client_alias": _("Host name given to the server and used in Message-IDs"),
        }

    use_required_attribute = False

    def __init__(self, *, owner: MailAccount, user: AbstractBaseUser, **kwargs: Any) -> None:
        self.owner = owner
        self.user = user
        self.erase_warning = ""
        instance = copy(getattr(owner, "smtp", None)) or SmtpSettings(account=owner)
        self._imap = getattr(owner, "imap", None)
        self._borrowed_before = imap_password_targets(self._imap, instance)
        self._own_before = smtp_password_targets(instance)
        kwargs["initial"] = self._initial(instance) | (kwargs.get("initial") or {})
        super().__init__(instance=instance, **kwargs)
        self._shape_fields(instance)

    # -- drawing ----------------------------------------------------------------------------------------

    def _initial(self, instance: SmtpSettings) -> dict[str, Any]:
        patterns = self.owner.further_senders.order_by("pattern").values_list("pattern", flat=True)
        return {
            "further_senders": list(patterns) if self.owner.pk else [],
            "is_standard": self.owner.is_standard,
            "debug": bool(instance.debug_until and instance.debug_until > timezone.now()),
        }

    def _shape_fields(self, instance: SmtpSettings) -> None:
        password = self.fields["password"]
        if isinstance(password, PasswordField):
            password.show_stored(is_stored=bool(instance.password_encrypted))
        for name in ("host", "username", "client_alias"):
            self.fields[name].widget.attrs |= {
                "autocapitalize": "off",
                "spellcheck": "false",
                "autocomplete": "off",
            }
        self.fields["transport"].widget.attrs |= {"data-reveal": "smtp-server", "data-reveal-value": "smtp"}
        self.fields["authentication"].widget.attrs |= {
            "data-reveal": "smtp-login",
            "data-reveal-value": "password",
        }
        self.fields["port"].widget = forms.NumberInput(
            {"inputmode": "numeric", "min": 1, "max": 65535, "class": "num"}
        )
        if not self.is_bound:
            self._hide_warning_fields()

    def _hide_warning_fields(self) -> None:
        for name in ("account_password", "confirm_erase"):
            self.fields.pop(name, None)

    # -- checking ---------------------------------------------------------------------------------------

    def clean_host(self) -> str:
        """The bare name of the server, "" where there is none."""
        host: str = self.cleaned_data["host"]
        return clean_host(host) if host else ""

    def clean_client_alias(self) -> str:
        """A host name, "" for the domain of the address."""
        alias: str = self.cleaned_data["client_alias"]
        return clean_host(alias) if alias else ""

    def clean_sender_address(self) -> str:
        """An address that is not another account's own."""
        address: str = self.cleaned_data["sender_address"]
        others = MailAccount.objects.exclude(pk=self.owner.pk)
        if address and others.filter(email__iexact=address).exists():
            raise ValidationError(_("Another account has this address; send from there."))
        return address

    def clean(self) -> dict[str, Any]:
        """What concerns several fields, and the warning before a password is erased (T7)."""
        data = super().clean() or self.cleaned_data
        if data.get("is_enabled") and data.get("transport") == SmtpSettings.Transport.SMTP:
            self._check_server(data)
        if not self.errors:
            self._warn_before_erasing(data)
        if not self.erase_warning:
            self._hide_warning_fields()
        return data

    def _check_server(self, data: Mapping[str, Any]) -> None:
        if "host" in data and not data["host"]:
            self.add_error("host", _("The server's name is missing."))
        self._check_login(data)
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

    def _check_login(self, data: Mapping[str, Any]) -> None:
        if data.get("authentication") != SmtpSettings.Authentication.PASSWORD:
            return
        if not data.get("has_own_login"):
            if self._imap is None:
                self.add_error("has_own_login", _("There is no IMAP sign-in to take over; switch this on."))
            return
        if not data.get("username"):
            self.add_error("username", _("The user name is missing."))
        if not data.get("password") and not self.instance.password_encrypted:
            self.add_error("password", _("The password is missing."))

    def _warn_before_erasing(self, data: Mapping[str, Any]) -> None:
        own = self.erases_own(data) and not data.get("password")
        borrowed = self.erases_borrowed(data) and not data.get("account_password")
        if not own and not borrowed:
            return
        if not borrowed:
            self.fields.pop("account_password", None)
        self.erase_warning = gettext(
            "The stored password was entered for %(servers)s. With these changes it will be erased, "
            "so that it is "
            "never sent to another server. Enter it anew to keep the account working."
        ) % {"servers": self._known_servers(self._own_before if own else self._borrowed_before)}
        if not data.get("confirm_erase"):
            self.add_error("confirm_erase", _("Enter the password anew, or tick to save without one."))

    def erases_own(self, data: Mapping[str, Any]) -> bool:
        """Whether SMTP's own stored password may not serve what ``data`` names."""
        return bool(self.instance.password_encrypted) and must_forget(
            self._own_before, smtp_password_targets(_changed(data))
        )

    def erases_borrowed(self, data: Mapping[str, Any]) -> bool:
        """Whether the mailbox's stored password may not serve what ``data`` names."""
        return bool(self._imap and self._imap.password_encrypted) and must_forget(
            self._borrowed_before, imap_password_targets(self._imap, _changed(data))
        )

    def _known_servers(self, targets: frozenset[Target]) -> str:
        return ", ".join(sorted({f"{target.host}:{target.port}" for target in targets}))

    # -- saving -----------------------------------------------------------------------------------------

    def save(self, commit: bool = True) -> SmtpSettings:  # Django's signature
        """Save the settings, the further senders and the standard account; set, keep or erase passwords."""
        self._read_passwords_again()
        self._save_own_password()
        self._save_borrowed_password()
        self.instance.debug_until = self._debug_until()
        saved = super().save(commit)
        services.set_further_senders(self.owner, self.cleaned_data["further_senders"])
        services.make_standard(self.owner, is_standard=self.cleaned_data["is_standard"])
        return saved

    def _read_passwords_again(self) -> None:
        """Somebody may have saved IMAP, or another password, since this form was read (T7)."""
        stored = services.lock_account(self.owner.pk)
        self._imap, smtp = getattr(stored, "imap", None), getattr(stored, "smtp", None)
        self._borrowed_before = imap_password_targets(self._imap, smtp)
        self._own_before = smtp_password_targets(smtp)
        if smtp is not None:
            self.instance.password_encrypted = smtp.password_encrypted
            self.instance.password_changed_at = smtp.password_changed_at

    def _save_own_password(self) -> None:
        if self.cleaned_data["password"]:
            services.store_smtp_password(self.instance, self.cleaned_data["password"])
        elif self.erases_own(self.cleaned_data):
            services.store_smtp_password(self.instance, "")

    def _save_borrowed_password(self) -> None:
        entered = self.cleaned_data.get("account_password", "")
        if self._imap and (entered or self.erases_borrowed(self.cleaned_data)):
            services.store_imap_password(self._imap, entered)
            self._imap.save(update_fields=["password_encrypted", "password_changed_at"])

    def _debug_until(self) -> Any:
        if not self.cleaned_data["debug"]:
            return None
        running = self.instance.debug_until
        return running if running and running > timezone.now() else timezone.now() + DEBUG_LASTS

    def audited_state(self, instance: SmtpSettings | None) -> dict[str, Any]:
        """Settings, further senders and standard account as stored now; passwords as ciphertexts."""
        account = MailAccount.objects.select_related("imap").get(pk=self.owner.pk)
        imap = getattr(account, "imap", None)
        around = {
            "further_senders": sorted(account.further_senders.values_list("pattern", flat=True)),
            "is_standard": account.is_standard,
            "account_password": imap.password_encrypted if imap else "",
        }
        if instance is None:
            return around
        own = audit.snapshot(instance, (*self.Meta.fields, "debug_until"))
        return around | own | {"password": instance.password_encrypted}


def _changed(data: Mapping[str, Any]) -> SmtpSettings:
    return SmtpSettings(**{name: data[name] for name in _LOGIN_FIELDS})
