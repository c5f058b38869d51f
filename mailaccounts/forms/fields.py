"""Fields and checks that the sections share, with messages in the user's words."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator, validate_domain_name
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mailaccounts.connections import network_policy
from mailkit.errors import InvalidArgument
from mailkit.imap_folders import encode_folder_name
from mailkit.network import NetworkPolicy, ascii_host

# What the usual ports speak; anything else on them never works.
_SECURITY_BY_PORT = {
    993: ("tls",),
    465: ("tls",),
    143: ("starttls", "none"),
    587: ("starttls", "none"),
    25: ("starttls", "none"),
}


class LinesField(forms.CharField):
    """A list, one entry a line; blank lines and repetitions are dropped, order is kept."""

    widget = forms.Textarea

    def __init__(self, *, check: Callable[[str], str], rows: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs["rows"] = rows
        self._check = check

    def to_python(self, value: Any) -> Any:
        """The entries as a list."""
        lines = value if isinstance(value, list) else str(value or "").splitlines()
        return list(dict.fromkeys(line.strip() for line in lines if line.strip()))

    def validate(self, value: Any) -> None:
        """Check that there is an entry where one is required."""
        if self.required and not value:
            raise ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: Any) -> None:
        """Entries are checked in :meth:`clean`; the validators of a text do not apply to a list."""

    def clean(self, value: Any) -> list[str]:
        """Entries in their stored form. Raises ValidationError naming the first that is none."""
        return [self._check(entry) for entry in super().clean(value)]

    def prepare_value(self, value: Any) -> Any:
        """One entry a line."""
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare entries, not their line ends."""
        return bool(self.to_python(initial) != self.to_python(data))


class ConditionalField(forms.CharField):
    """A text whose need depends on other fields: the form checks that, and never calls it optional."""

    def validate(self, _value: Any) -> None:
        """Left to the form's ``clean``."""


class PasswordField(ConditionalField):
    """A password that is written and never shown: blank leaves what is stored."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
        super().__init__(strip=False, widget=widget, max_length=500, **kwargs)

    def show_stored(self, *, is_stored: bool) -> None:
        """Say in the empty field whether a password is stored."""
        if is_stored:
            self.widget.attrs["placeholder"] = gettext("stored – leave empty to keep it")

    def clean(self, value: Any) -> str:
        """Refuse control characters, which no protocol can carry."""
        password: str = super().clean(value)
        if any(ord(character) < 32 or ord(character) == 127 for character in password):
            raise ValidationError(_("The password holds a line break or another invisible character."))
        return password


def check_folder(name: str) -> str:
    """A folder's name that IMAP can carry."""
    try:
        encode_folder_name(name)
    except InvalidArgument:
        raise ValidationError(
            _("“%(name)s” cannot be the name of a folder."), params={"name": name}
        ) from None
    return name


def check_sender_pattern(pattern: str) -> str:
    """``name@domain``, or ``@domain`` for every address of a domain, in lower case."""
    pattern = pattern.lower()
    try:
        if pattern.startswith("@"):
            validate_domain_name(pattern[1:])
        else:
            EmailValidator()(pattern)
    except ValidationError:
        raise ValidationError(
            _("“%(pattern)s” is neither an address (name@domain) nor a domain (@domain)."),
            params={"pattern": pattern},
        ) from None
    return pattern


def clean_host(value: str) -> str:
    """A server's name as people paste it, or a sentence that says what is too much."""
    host = value.strip().rstrip(".")
    if "://" in host or "/" in host:
        raise ValidationError(_("Only the server's name, without “https://” and without a path."))
    if host.count(":") == 1:
        raise ValidationError(_("Only the server's name; the port has a field of its own."))
    if "@" in host:
        raise ValidationError(_("This is an e-mail address. The server's name looks like imap.example.com."))
    try:
        return ascii_host(host)
    except InvalidArgument:
        raise ValidationError(_("This is not the name of a server.")) from None


def check_port_matches(port: int, security: str) -> None:
    """Refuse the combinations of port and encryption that never work."""
    allowed = _SECURITY_BY_PORT.get(port)
    if allowed is None or security in allowed:
        return
    if allowed == ("tls",):
        raise ValidationError(_("Port %(port)s goes with SSL/TLS from the start."), params={"port": port})
    raise ValidationError(_("Port %(port)s goes with STARTTLS."), params={"port": port})


def check_network(host: str, port: int, security: str) -> None:
    """Refuse what the environment does not allow, as far as that shows without asking the name service.

    Connecting checks again, with every address that the name has then.
    """
    policy = network_policy()
    if port not in policy.allowed_ports:
        raise ValidationError({"port": _("This system may not dial port %(port)s.") % {"port": port}})
    if any(not policy.is_allowed(ip) for ip in _addresses(host)):
        raise ValidationError({"host": _("This server lies in a network that this system may not dial.")})
    if security == "none" and not _may_be_plaintext(policy, host):
        message = _("Unencrypted connections are not allowed to this server. Choose SSL/TLS or STARTTLS.")
        raise ValidationError({"security": message})


def _may_be_plaintext(policy: NetworkPolicy, host: str) -> bool:
    return bool(policy.plaintext_networks) and all(policy.allows_plaintext(ip) for ip in _addresses(host))


def _addresses(host: str) -> Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    if host == "localhost" or host.endswith(".localhost"):
        return [ipaddress.ip_address("127.0.0.1")]
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        return []
