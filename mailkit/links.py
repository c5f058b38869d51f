"""Where a link leads, against where it claims to lead."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from mailkit.addresses import ascii_domain
from mailkit.errors import InvalidAddress

# A host in visible text: a URL, or a bare name with a dot. The dot may be one of IDNA's look-alikes.
_SHOWN_HOST: Final = re.compile(
    r"(?:(?:https?|ftp)[:：]/{0,3})?(?:[^\s/@]{1,100}@)?((?:[\w-]{1,63}[.。．｡]){1,8}[^\W\d_][\w-]{1,62})(?=[\s/:?#]|$)",
    re.IGNORECASE,
)
_DOTS: Final = str.maketrans({"。": ".", "．": ".", "｡": "."})
_MAX_TEXT: Final = 2_000
_PUBLIC_NAME: Final = re.compile(
    r"(?:[a-z0-9_-]{1,63}\.){1,30}(?!(?:arpa|corp|home|internal|lan|local|localhost)\Z)[a-z][a-z0-9-]{1,62}\Z"
)
_ADDRESS_INSIDE: Final = re.compile(
    r"(?<![0-9])([0-9]{1,3})[.-]([0-9]{1,3})[.-]([0-9]{1,3})[.-]([0-9]{1,3})(?![0-9])"
)


def target_host(url: str) -> str:
    """Return the host of an http(s) URL as A-labels in lower case, the way a browser reads it; "" if none."""
    try:
        host = urlsplit(url.replace("\\", "/")).hostname or ""
    except ValueError:
        return ""
    return _ascii(host)


def _ascii(host: str) -> str:
    try:
        return ascii_domain(host.translate(_DOTS).rstrip(".")).lower()
    except InvalidAddress:
        return host.lower()


def is_public_host(host: str) -> bool:
    """Return whether ``host`` (of :func:`target_host`) reads like a site on the Internet.

    So not for addresses in whatever notation, names of local networks, and names that hold the address they
    resolve to, such as 127.0.0.1.nip.io (B45). What a name resolves to is not looked up.
    """
    if not _PUBLIC_NAME.match(host):
        return False
    inside = _ADDRESS_INSIDE.search(host)
    return inside is None or _is_global(".".join(str(int(part)) for part in inside.groups()))


def _is_global(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return True  # a version number, not an address


def misleads(text: str, url: str) -> bool:
    """Return whether a reader should be shown the target beside the link.

    So when the text names a host other than the target's (``www.`` apart), and when the target is written
    in letters that can be mistaken for others (an internationalised name).
    """
    host = target_host(url)
    if not host:
        return False
    if any(label.startswith("xn--") for label in host.split(".")):
        return True
    shown = _SHOWN_HOST.match(text.strip()[:_MAX_TEXT])
    return bool(shown) and not _same_site(_ascii(shown[1]) if shown else "", host)


def _same_site(shown: str, host: str) -> bool:
    """Compare without ``www.``; a sub-domain of what is shown is the same site."""
    shown, host = shown.removeprefix("www."), host.removeprefix("www.")
    return host == shown or host.endswith("." + shown)
