"""The texts of :mod:`mailaccounts.diagnosis` on signing in by OAuth: code → title, cause, remedy."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_CONNECT = _("Connect the account with the provider again.")
_WAITS = _(
    "It is tried again by itself; nothing is lost. If it stays this way, look at the provider's status."
)

OAUTH: dict[str, tuple[str | Promise, str | Promise, str | Promise]] = {
    "oauth_not_connected": (
        _("Not connected with the provider"),
        _("The account signs in by consent at the provider, and no consent is stored."),
        _("Connect the account with the provider."),
    ),
    "oauth_reconnect_needed": (
        _("Connect anew"),
        _(
            "The provider has ended the consent: the password was changed, access was withdrawn, or it was "
            "not used for long."
        ),
        _CONNECT,
    ),
    "oauth_consent_ends": (
        _("Consent about to end"),
        _("The provider gave the consent for a limited time, which ends within two days."),
        _CONNECT,
    ),
    "oauth_host_not_allowed": (
        _("Not the provider's server"),
        _("%(host)s is none of the servers of the provider that the consent was given to. Nothing was sent."),
        _("Enter the provider's own server, encrypted, or sign in by user name and password."),
    ),
    "oauth-not-offered": (
        _("No sign-in by consent"),
        _("%(host)s does not offer sign-in by OAuth on this connection."),
        _("Check port and encryption, or sign in by user name and password."),
    ),
    "oauth_unavailable": (
        _("Provider's sign-in service not available"),
        _("The service that renews the access to the mailbox does not answer or reports a fault."),
        _WAITS,
    ),
    "oauth_refused": (
        _("Access not renewed"),
        _("The provider's sign-in service refuses the request."),
        _("It is tried again by itself. If it stays this way, connect the account with the provider again."),
    ),
    "oauth_client_refused": (
        _("Registration refused by the provider"),
        _("The provider does not accept client ID and secret of this installation."),
        _("Have client ID and secret corrected by a mail administrator."),
    ),
    "oauth_client_missing": (
        _("No registration with the provider"),
        _("Client ID and secret for this provider are not entered."),
        _("Have them entered by a mail administrator."),
    ),
    "oauth_state_unknown": (
        _("Consent not accepted"),
        _("It does not belong to this session, was used before, or was given more than ten minutes ago."),
        _("Begin again with connecting."),
    ),
    "oauth_identity_differs": (
        _("Another mailbox was chosen"),
        _("The consent was given for another address than the account's, so nothing was stored."),
        _("Begin again and choose the account's own address at the provider."),
    ),
    "oauth_consent_incomplete": (
        _("Consent incomplete"),
        _("The access to e-mails was not granted, or not lastingly, so nothing was stored."),
        _("Begin again and tick the access to e-mails at the provider."),
    ),
}  # fmt: skip
