"""Why a message was excluded or came to quarantine: stable codes, and what people read for them."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Reason(models.TextChoices):
    """Codes of ``IncomingMessage.reason``."""

    # excluded by a named setting
    BEFORE_FROM_DATE = "before-from-date", _("before “from date”")
    TICKETS_OFF = "ticket-system-off", _("ticket system off")
    FOLDER_OFF = "folder-off", _("folder no longer polled")
    TEST_MAIL = "test-mail", _("test mail")
    OWN_COPY = "own-copy", _("own sent copy")
    SYSTEM_MAIL = "system-mail", _("message of this system")
    # vanished
    REMOVED = "removed-on-server", _("removed on the server")
    UIDVALIDITY = "uid-validity-changed", _("folder was renumbered")
    # quarantined
    LEFT_ON_SERVER = "left-on-server", _("Too large")
    REFUSED_BY_SERVER = "refused-by-server", _("Server does not hand it out")
    LOOP = "loop", _("Mail loop")
    IMPORT_FAILED = "import-failed", _("Import failed")
    EMPTY = "empty", _("Empty message")
    TOO_LARGE = "too-large", _("Too large to read")
    TOO_MANY_HEADERS = "too-many-headers", _("Too many header lines")
    TOO_DEEP = "too-deep", _("Nested too deep")
    TOO_MANY_PARTS = "too-many-parts", _("Too many parts")
    TOO_MANY_ATTACHMENTS = "too-many-attachments", _("Too many attachments")
    MALFORMED = "malformed-message", _("Damaged message")
    # asked for by a person all the same
    READ_ANYWAY = "read-anyway", _("being read all the same")


# Exclusions that end when the setting is moved: the message was never fetched and still can be.
REOPENABLE = (Reason.BEFORE_FROM_DATE, Reason.TICKETS_OFF)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What stands beside a quarantined message: what happened, why, and what to do."""

    label: str | Promise
    cause: str | Promise
    remedy: str | Promise


_ORIGINAL = _("Look at the original and decide: file it by hand, or discard it with a reason.")

_TEXTS: dict[str, tuple[str | Promise, str | Promise]] = {
    Reason.LEFT_ON_SERVER: (
        _("The message is larger than the limit of this installation and was left on the server."),
        _("Read it once in spite of its size, or raise the limit MAIL_MAX_MESSAGE_MB and try again."),
    ),
    Reason.REFUSED_BY_SERVER: (
        _("The server lists the message, but several attempts to fetch it failed. It stays on the server."),
        _("Open the message in a mail program. Once it can be read there, try again."),
    ),
    Reason.LOOP: (
        _(
            "The message went round in circles: it passed more than 30 servers, "
            "or carries the mark of our own answers."
        ),
        _(
            "Check the forwarding rules of the mailboxes involved; nothing was answered. "
            "Read it this once if it is genuine."
        ),
    ),
    Reason.IMPORT_FAILED: (
        _("An unexpected fault occurred while the ticket was made. The other messages were not affected."),
        _("Try again. If it fails once more, give the technical detail below to support."),
    ),
    Reason.EMPTY: (_("The message has no content at all, not even a header."), _ORIGINAL),
    Reason.TOO_LARGE: (_("The message exceeds what can be taken apart safely."), _ORIGINAL),
    Reason.TOO_MANY_HEADERS: (_("The header has more lines than any genuine message."), _ORIGINAL),
    Reason.TOO_DEEP: (
        _("Messages are packed into each other more often than can be taken apart safely."),
        _ORIGINAL,
    ),
    Reason.TOO_MANY_PARTS: (
        _("The message consists of more parts than can be taken apart safely."),
        _ORIGINAL,
    ),
    Reason.TOO_MANY_ATTACHMENTS: (_("The message carries more attachments than can be shown."), _ORIGINAL),
    Reason.MALFORMED: (_("The message is damaged and could not be read."), _ORIGINAL),
}


def explain(code: str) -> Explanation:
    """Label, cause and remedy of a quarantine reason; an unknown code is told as a damaged message."""
    known = code if code in _TEXTS else Reason.MALFORMED
    cause, remedy = _TEXTS[known]
    return Explanation(Reason(known).label, cause, remedy)
