"""Servers of the usual providers, so that a form can fill itself in.

Adding one: take the servers from the provider's own help page, add a row, nothing else. What a preset fills
in is always shown and can be changed before saving.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider's servers. ``domains`` of its addresses; ``copies_sent`` is off where it keeps copies."""

    slug: str
    label: str | Promise
    imap_host: str
    smtp_host: str
    imap_port: int = 993
    imap_security: str = "tls"
    smtp_port: int = 465
    smtp_security: str = "tls"
    copies_sent: bool = True
    domains: tuple[str, ...] = ()

    def matches(self, *, host: str) -> bool:
        """Whether ``host`` is one of the provider's servers."""
        return bool(host) and host.lower().rstrip(".") in {self.imap_host, self.smtp_host}


OWN = "own"

PRESETS: tuple[Preset, ...] = (
    Preset(
        "gmail",
        "Gmail",
        "imap.gmail.com",
        "smtp.gmail.com",
        smtp_port=587,
        smtp_security="starttls",
        copies_sent=False,
        domains=("gmail.com", "googlemail.com"),
    ),
    Preset(
        "microsoft365",
        "Microsoft 365",
        "outlook.office365.com",
        "smtp.office365.com",
        smtp_port=587,
        smtp_security="starttls",
        copies_sent=False,
        domains=("outlook.com", "outlook.de", "hotmail.com", "live.com"),
    ),
    Preset("ionos", "IONOS", "imap.ionos.de", "smtp.ionos.de"),
    Preset("strato", "Strato", "imap.strato.de", "smtp.strato.de"),
    Preset(
        "t-online", "T-Online", "secureimap.t-online.de", "securesmtp.t-online.de", domains=("t-online.de",)
    ),
    Preset("gmx", "GMX", "imap.gmx.net", "mail.gmx.net", domains=("gmx.de", "gmx.net", "gmx.at", "gmx.ch")),
    Preset("web.de", "WEB.DE", "imap.web.de", "smtp.web.de", domains=("web.de",)),
    Preset("mailbox.org", "mailbox.org", "imap.mailbox.org", "smtp.mailbox.org", domains=("mailbox.org",)),
    Preset("hetzner", "Hetzner", "mail.your-server.de", "mail.your-server.de"),
    # Each customer has a server of their own, so there is no name to fill in.
    Preset("all-inkl", _("ALL-INKL (w….kasserver.com)"), "", ""),
)


def choices() -> list[tuple[str, str | Promise]]:
    """Choices of the provider field, own servers first."""
    return [(OWN, _("own server")), *((preset.slug, preset.label) for preset in PRESETS)]


def preset_for_hosts(imap_host: str, smtp_host: str = "") -> Preset | None:
    """The provider whose servers these are."""
    hosts = [host for host in (imap_host, smtp_host) if host]
    return next((p for p in PRESETS if hosts and all(p.matches(host=host) for host in hosts)), None)


def preset_for_address(address: str) -> Preset | None:
    """The provider that the address belongs to, as far as its domain tells."""
    domain = address.rpartition("@")[2].lower()
    return next((preset for preset in PRESETS if domain in preset.domains), None)


def hint(slug: str) -> str:
    """What a provider asks of its customers before a mail program may sign in; "" where nothing special."""
    return str(_HINTS.get(slug, ""))


_HINTS: dict[str, str | Promise] = {
    "gmail": _(
        "Google does not accept the ordinary password here. Switch on 2-step verification in the "
        "Google account, then "
        "create an app password under Security → App passwords and enter it below. Gmail keeps sent "
        "e-mails by itself."
    ),
    "microsoft365": _(
        "Microsoft has switched off password sign-in for most mailboxes. It works only where the "
        "administrator of the "
        "mailboxes allows it."
    ),
    "gmx": _("At GMX, allow access by other programs first: Settings → POP3/IMAP."),
    "web.de": _("At WEB.DE, allow access by other programs first: Settings → POP3/IMAP."),
    "t-online": _("T-Online wants the e-mail password from the customer centre, not the one of the website."),
    "all-inkl": _("The name of the server stands in the KAS; it looks like w01234567.kasserver.com."),
}
