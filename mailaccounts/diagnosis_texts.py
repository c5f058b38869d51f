"""The texts of :mod:`mailaccounts.diagnosis`: code → title, cause, remedy.

``%(host)s`` is the server's name, ``%(code)s`` the code. A test fails when mailkit knows a code that is
missing here.
"""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mailaccounts.oauth_texts import OAUTH

Text = tuple[str | Promise, str | Promise, str | Promise]

_TRY_AGAIN = _("It is tried again by itself; nothing is lost.")
_ASK_PROVIDER = _("If it stays this way, ask the provider and pass on the server's reply.")
_CHECK_ENTRY = _("Check the entry and save again.")
_BROKEN_DIALOGUE: Text = (
    _("The dialogue with the server broke"),
    _("%(host)s answered in a way that the protocol does not allow, so nothing of it was used."),
    _ASK_PROVIDER,
)
_HOSTILE_START: Text = (
    _("No safe connection"),
    _("%(host)s behaved as if somebody stood between it and us. No password was sent."),
    _("Choose SSL/TLS from the start. If that is chosen already, ask whoever runs the network."),
)
_UNREADABLE_MAIL: Text = (
    _("The e-mail cannot be read"),
    _("It breaks the rules for e-mails or exceeds the limits that protect this system."),
    _("The original is kept. Look at it in the quarantine and decide there."),
)
_MAIL_PROGRAM: Text = (
    _("The local mail program refuses"),
    _("The mail program of this machine did not accept the e-mail."),
    _("Ask whoever runs this machine to look into the mail program's log."),
)

CONNECTION: dict[str, Text] = {
    "connection_failed": (_("No connection"), _("%(host)s could not be reached."), _TRY_AGAIN),
    "host_not_found": (
        _("Server not found"),
        _("There is no server called %(host)s."),
        _("Check the spelling of the server's name; the provider's help pages tell it."),
    ),
    "host_not_allowed": (
        _("Network not allowed"),
        _("%(host)s does not lie in a network that this system may dial."),
        _("Enter a public mail server, or have its network added to MAIL_ALLOWED_NETWORKS."),
    ),
    "port_not_allowed": (
        _("Port not allowed"),
        _("This system may not dial that port."),
        _("Use 993 or 143 for IMAP, 465, 587 or 25 for SMTP, or have the port added to MAIL_ALLOWED_PORTS."),
    ),
    "plaintext_not_allowed": (
        _("Encryption required"),
        _("%(host)s does not lie in a network where unencrypted connections are allowed."),
        _("Choose SSL/TLS or STARTTLS as encryption."),
    ),
    "connection_refused": (
        _("Connection refused"),
        _("%(host)s can be reached, but nothing answers on that port."),
        _("Check the port: 993 with SSL/TLS or 143 with STARTTLS for IMAP, 465 or 587 for SMTP."),
    ),
    "connection_timeout": (
        _("No answer"),
        _("%(host)s did not answer in time. The port may be wrong, or a firewall swallows the connection."),
        _("Check server and port. If they are right, the server is busy: it is tried again by itself."),
    ),
    "dns_timeout": (
        _("No answer from the name service"),
        _("The address of %(host)s could not be looked up in time."),
        _TRY_AGAIN,
    ),
    "host_unreachable": (
        _("Server unreachable"),
        _("There is no way through the network to %(host)s at the moment."),
        _("Check the network of this machine. It is tried again by itself."),
    ),
    "connection_lost": (
        _("Connection lost"),
        _("The connection to %(host)s broke in the middle."),
        _TRY_AGAIN,
    ),
    "server_unavailable": (
        _("Server unavailable"),
        _("%(host)s is not accepting work at the moment."),
        _TRY_AGAIN,
    ),
    "invalid_argument": (
        _("Entry not usable"),
        _("An entry holds characters that no mail server accepts."),
        _CHECK_ENTRY,
    ),
}

TLS: dict[str, Text] = {
    "tls_failed": (
        _("No encrypted connection"),
        _("No encryption could be agreed on with %(host)s. Usually port and encryption do not match."),
        _("993 and 465 go with SSL/TLS, 143 and 587 with STARTTLS."),
    ),
    "starttls_missing": (
        _("No encryption offered"),
        _("%(host)s does not offer STARTTLS, so no password was sent."),
        _("Choose SSL/TLS from the start with port 993 (IMAP) or 465 (SMTP)."),
    ),
    "starttls_refused": (
        _("Encryption refused"),
        _("%(host)s offers STARTTLS and then refuses it. No password was sent."),
        _("Choose SSL/TLS from the start, or ask the provider."),
    ),
    "starttls_injection": _HOSTILE_START,
    "preauth_refused": _HOSTILE_START,
    "ca_file_unreadable": (
        _("Company certificate missing"),
        _("The file of certificate authorities named in MAIL_CA_FILE cannot be read."),
        _("Have the file or the setting corrected by whoever runs this system."),
    ),
    "certificate_expired": (
        _("Certificate expired"),
        _("The certificate of %(host)s is no longer or not yet valid. No password was sent."),
        _("The operator of the server must renew it. Check the date of this machine, too."),
    ),
    "certificate_self_signed": (
        _("Certificate self-signed"),
        _("%(host)s vouches for itself only; anybody could pose as it. No password was sent."),
        _("Use a certificate of a known authority, or have the company's own added with MAIL_CA_FILE."),
    ),
    "certificate_hostname": (
        _("Certificate of another server"),
        _("The certificate was issued for another name than %(host)s. No password was sent."),
        _("Enter the server's name exactly as the provider states it."),
    ),
    "certificate_untrusted": (
        _("Certificate not trusted"),
        _("The certificate of %(host)s comes from an authority unknown here. No password was sent."),
        _("Have the company's own authority added with MAIL_CA_FILE, or ask the provider for the chain."),
    ),
    "certificate_invalid": (
        _("Certificate not valid"),
        _("The certificate of %(host)s could not be verified. No password was sent."),
        _ASK_PROVIDER,
    ),
}

LOGIN: dict[str, Text] = {
    "authentication_failed": (
        _("Sign-in refused"),
        _("%(host)s does not accept this combination of user name and password."),
        _(
            "Check the password in the webmail and enter it anew. With two-factor sign-in, create an "
            "app password."
        ),
    ),
    "app-password-required": (
        _("App password required"),
        _("%(host)s does not accept the ordinary password from mail programs."),
        _("Create an app password with the provider and enter it here."),
    ),
    "imap-disabled": (
        _("IMAP switched off"),
        _("The mailbox exists, but access by IMAP is not switched on at %(host)s."),
        _("Switch on IMAP in the settings of the webmail."),
    ),
    "too-many-connections": (
        _("Too many connections"),
        _("%(host)s allows only a few connections at a time, and they are in use."),
        _("It is tried again by itself. Close other mail programs if it stays this way."),
    ),
    "oauth-required": (
        _("Password sign-in switched off"),
        _("%(host)s no longer accepts passwords for this mailbox."),
        _("Have password sign-in for IMAP and SMTP allowed by whoever manages the mailboxes."),
    ),
    "login-disabled": (
        _("No sign-in by password"),
        _("%(host)s does not offer sign-in by user name and password on this connection."),
        _("Check port and encryption: many servers offer the sign-in on encrypted connections only."),
    ),
    "unavailable": (
        _("Sign-in not possible at the moment"),
        _("%(host)s reports a fault of its own."),
        _TRY_AGAIN,
    ),
    "password_missing": (
        _("Password missing"),
        _("No password is stored. It is erased when server, port, encryption or user name change."),
        _("Enter the password and save."),
    ),
    "smtp_login_missing": (
        _("No sign-in for SMTP"),
        _("Sending takes over the sign-in of IMAP, and there is none."),
        _("Switch on the own SMTP login, or fill in the IMAP section."),
    ),
    "credential_unreadable": (
        _("Stored password unreadable"),
        _("The key that the password was stored with is missing from MAIL_KEYS."),
        _("Have the key added by whoever runs this system, or enter the password anew."),
    ),
}

FOLDERS: dict[str, Text] = {
    "mailbox_unavailable": (
        _("Folder not usable"),
        _("%(host)s refuses access to a folder."),
        _("Check the folders in the IMAP section."),
    ),
    "no-such-folder": (
        _("Folder missing"),
        _("A chosen folder no longer exists on %(host)s."),
        _("Choose the folders anew in the IMAP section."),
    ),
    "over-quota": (
        _("Mailbox full"),
        _("The mailbox at %(host)s has no space left."),
        _("Make room in the mailbox or have it enlarged."),
    ),
    "read-only": (
        _("Folder read-only"),
        _("%(host)s does not allow changes in this folder."),
        _("Ask for the right to write, or choose another folder."),
    ),
    "no-uid-validity": (
        _("Folder without lasting numbers"),
        _("%(host)s does not number the e-mails of this folder lastingly, so they cannot be told apart."),
        _("Choose another folder, or ask the provider."),
    ),
    "no-uidplus-foreign-deleted": (
        _("Not deleted on the server"),
        _("%(host)s can only delete everything that is flagged, and somebody else has flagged e-mails."),
        _("Empty the deleted e-mails in the mail program, then ours are deleted too. Nothing is lost."),
    ),
    "uid_validity_changed": (
        _("Folder renumbered"),
        _("%(host)s has numbered the folder anew. It is read in again; known e-mails are recognised."),
        _("Nothing needs to be done."),
    ),
}

DELIVERY: dict[str, Text] = {
    "delivery_failed": (_("Not delivered"), _("%(host)s did not take the e-mail."), _ASK_PROVIDER),
    "delivery_transient": (_("Not delivered yet"), _("%(host)s asks to try again later."), _TRY_AGAIN),
    "delivery_permanent": (
        _("Delivery refused"),
        _("%(host)s refuses the e-mail for good."),
        _("The server's reply tells why: often the recipient's address is wrong or the sender not allowed."),
    ),
    "delivery_uncertain": (
        _("Delivery unclear"),
        _("The connection broke after the e-mail was handed over and before %(host)s confirmed it."),
        _("Check whether it arrived before sending it again."),
    ),
    "message-too-big": (
        _("E-mail too large"),
        _("%(host)s does not take e-mails of this size."),
        _("Send smaller or fewer attachments."),
    ),
    "mail-program-missing": (
        _("Local mail program missing"),
        _("The mail program named in SENDMAIL_PATH is not on this machine."),
        _("Choose an SMTP server as transport, or have the program installed."),
    ),
    "mail_program_failed": _MAIL_PROGRAM,
    "invalid_address": (
        _("Address not usable"),
        _("An address breaks the rules for e-mail addresses."),
        _CHECK_ENTRY,
    ),
    "invalid_local_part": (
        _("Address not usable"),
        _("The part before the @ breaks the rules for addresses."),
        _CHECK_ENTRY,
    ),
    "invalid_domain": (_("Address not usable"), _("The part after the @ is no domain."), _CHECK_ENTRY),
}

ACCOUNT: dict[str, Text] = {
    "account_not_ready": (
        _("Settings incomplete"),
        _("The account's settings do not allow this."),
        _("Complete the settings of the account."),
    ),
    "account_retired": (
        _("Account retired"),
        _("The account is retired: it neither polls nor sends."),
        _("Reactivate the account if it is needed again."),
    ),
    "imap_missing": (
        _("IMAP not set up"),
        _("The account has no IMAP server."),
        _("Fill in the IMAP section."),
    ),
    "smtp_off": (
        _("SMTP switched off"),
        _("The account does not send: SMTP is not activated."),
        _("Activate SMTP in the SMTP section."),
    ),
    "test_mail_not_arrived": (
        _("Test mail not seen yet"),
        _("%(host)s took the test mail, but it did not show up in the mailbox within a minute."),
        _("Look into the spam folder. Some providers deliver mail to oneself later, or not at all."),
    ),
    "unconfirmed_copy": (
        _("This is a copy"),
        _("This database was last run under another name. Until that is confirmed, nothing is sent."),
        _("A mail administrator confirms on the start page that the original no longer runs."),
    ),
    "internal_error": (
        _("The test broke off"),
        _("Something went wrong on our side, not on the server's."),
        _("Try again. If it stays this way, the log of the worker tells more."),
    ),
    "test_stalled": (
        _("No answer from the background worker"),
        _("The test was asked for, but no worker has finished it."),
        _("Try again. If it stays this way, check whether the worker runs."),
    ),
}

PROTOCOL: dict[str, Text] = {
    "protocol_violation": _BROKEN_DIALOGUE,
    "answer_too_long": _BROKEN_DIALOGUE,
    "literal_invalid": _BROKEN_DIALOGUE,
    "literal_too_large": _BROKEN_DIALOGUE,
    "malformed_message": _UNREADABLE_MAIL,
    "empty": _UNREADABLE_MAIL,
    "too-deep": _UNREADABLE_MAIL,
    "too-large": _UNREADABLE_MAIL,
    "too-many-attachments": _UNREADABLE_MAIL,
    "too-many-headers": _UNREADABLE_MAIL,
    "too-many-parts": _UNREADABLE_MAIL,
}

UNKNOWN: Text = (
    _("Something unexpected happened"),
    _("%(host)s and this system did not understand each other (%(code)s)."),
    _ASK_PROVIDER,
)

TEXTS: dict[str, Text] = {
    **CONNECTION, **TLS, **LOGIN, **OAUTH, **FOLDERS, **DELIVERY, **ACCOUNT, **PROTOCOL
}  # fmt: skip
