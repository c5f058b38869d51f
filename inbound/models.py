"""The cursor of each folder, the ledger of every message, autoresponder options and decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from archive.models import RawMail
from jobs.indexes import index_where_set
from mailaccounts.models import MailAccount
from masterdata import roles
from outbound.models import OutgoingMessage
from tickets.models import TicketMessage

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class Mailbox(models.Model):
    """One folder of an account and how far it is known: UIDs below ``next_uid`` have a ledger row.

    ``server_messages`` is what the server counted last, minus what was deleted by us since; ``undiscovered``
    of them have no ledger row yet. ``is_unfinished`` from the moment a poll finds something until one comes
    to the folder's end, deletions included: what was broken off in between is taken up without news (R2).
    """

    account = models.ForeignKey(MailAccount, on_delete=models.PROTECT, related_name="mailboxes")
    name = models.CharField(max_length=255)
    # 0: never looked at.
    uid_validity = models.BigIntegerField(default=0)
    next_uid = models.BigIntegerField(default=1)
    server_messages = models.PositiveIntegerField(default=0)
    undiscovered = models.PositiveIntegerField(default=0)
    is_unfinished = models.BooleanField(default=False)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "mailboxes"
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="mailbox_once")]

    def __str__(self) -> str:
        return self.name


class IncomingMessageQuerySet(models.QuerySet["IncomingMessage"]):
    """Chainable filters."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> IncomingMessageQuerySet:
        """Ledger and quarantine: mail administrators."""
        return self if roles.is_mail_administrator(user) else self.none()

    def on_server(self, mailbox: Mailbox) -> IncomingMessageQuerySet:
        """Rows of the folder under its present UIDVALIDITY whose message still lies on the server."""
        return self.filter(
            mailbox=mailbox, uid_validity=mailbox.uid_validity, server_copy__in=IncomingMessage.ON_SERVER
        )

    def in_quarantine(self) -> IncomingMessageQuerySet:
        """Rows somebody still has to look at."""
        return self.filter(state=IncomingMessage.State.QUARANTINED, discarded_at__isnull=True)


class IncomingMessage(models.Model):
    """The ledger: one row per (folder, UIDVALIDITY, UID) and where that message ended (I1)."""

    class State(models.TextChoices):
        SEEN = "seen", _("found on the server")
        STORED = "stored", _("stored, not yet processed")
        IMPORTED = "imported", _("imported")
        BOUNCE = "bounce", _("bounce")
        DUPLICATE = "duplicate", _("duplicate")
        EXCLUDED = "excluded", _("excluded")
        QUARANTINED = "quarantined", _("in quarantine")
        # Gone from the server before its bytes could be read (R17): recorded, nothing to keep.
        VANISHED = "vanished", _("vanished from the server")

    UNFINISHED = (State.SEEN, State.STORED)

    class ServerCopy(models.TextChoices):
        KEPT = "kept", _("kept on the server")
        DELETING = "deleting", _("deletion pending")
        DELETED = "deleted", _("deleted on the server")
        # Others moved or deleted it, or its UID became void.
        GONE = "gone", _("no longer on the server")

    ON_SERVER = (ServerCopy.KEPT, ServerCopy.DELETING)

    # The indexes of Meta serve the foreign keys, too: every further one is written three times a mail.
    account = models.ForeignKey(
        MailAccount, on_delete=models.PROTECT, related_name="incoming", db_index=False
    )
    mailbox = models.ForeignKey(Mailbox, on_delete=models.PROTECT, related_name="messages", db_index=False)
    uid_validity = models.BigIntegerField()
    uid = models.BigIntegerField()
    internal_date = models.DateTimeField()
    size = models.PositiveIntegerField()
    state = models.CharField(max_length=11, choices=State.choices, default=State.SEEN)
    # Stable code: which setting excluded it, why it is quarantined, …
    reason = models.CharField(max_length=60, blank=True)
    detail = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    raw = models.ForeignKey(
        RawMail, null=True, on_delete=models.PROTECT, related_name="incoming", db_index=False
    )
    message_id = models.CharField(max_length=255, blank=True)
    from_address = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=255, blank=True)
    ticket_message = models.ForeignKey(
        TicketMessage, null=True, on_delete=models.PROTECT, related_name="ledger_rows", db_index=False
    )
    bounce_of = models.ForeignKey(
        OutgoingMessage, null=True, on_delete=models.PROTECT, related_name="bounces", db_index=False
    )
    duplicate_of = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="duplicates", db_index=False
    )
    server_copy = models.CharField(max_length=8, choices=ServerCopy.choices, default=ServerCopy.KEPT)
    discovered_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True)
    # When it came to quarantine first; stays once it is solved, so that solved cases can be found.
    quarantined_at = models.DateTimeField(null=True)
    discarded_at = models.DateTimeField(null=True)
    discarded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    discard_reason = models.CharField(max_length=500, blank=True)

    objects = IncomingMessageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailbox", "uid_validity", "uid"], name="ledger_once"),
        ]
        indexes = [
            models.Index(fields=["account", "state", "id"], name="ledger_by_state"),
            models.Index(
                fields=["mailbox", "id"], name="ledger_unfinished", condition=Q(state__in=["seen", "stored"])
            ),
            index_where_set("raw", name="ledger_raw"),
            index_where_set("ticket_message", name="ledger_ticket_message"),
            index_where_set("bounce_of", name="ledger_bounce_of"),
            index_where_set("duplicate_of", name="ledger_duplicate_of"),
            index_where_set("discarded_by", name="ledger_discarded_by"),
            models.Index(
                fields=["-quarantined_at", "-id"],
                name="ledger_quarantine",
                condition=Q(quarantined_at__isnull=False),
            ),
            models.Index(
                fields=["mailbox", "id"],
                name="ledger_deletable",
                condition=Q(state="imported", server_copy__in=["kept", "deleting"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mailbox_id}/{self.uid_validity}/{self.uid} {self.state}"


class AutoresponderOptions(models.Model):
    """Autoresponder of an account (product §7)."""

    account = models.OneToOneField(MailAccount, on_delete=models.CASCADE, related_name="autoresponder")
    is_enabled = models.BooleanField(_("answer automatically"), default=False)
    enabled_at = models.DateTimeField(null=True, editable=False)
    once_a_day = models.BooleanField(_("only one e-mail per day"), default=True)
    subject = models.CharField(_("subject"), max_length=200, blank=True)
    html = models.TextField(_("text"), blank=True)

    class Meta:
        verbose_name = _("autoresponder")

    def __str__(self) -> str:
        return f"{self.account_id}"


class AutoReply(models.Model):
    """The decision about one imported mail: answered or not, and why (shown on the ticket)."""

    account = models.ForeignKey(
        MailAccount, on_delete=models.PROTECT, related_name="auto_replies", db_index=False
    )
    incoming = models.OneToOneField(IncomingMessage, on_delete=models.PROTECT, related_name="auto_reply")
    sender = models.CharField(max_length=320, blank=True)
    decided_at = models.DateTimeField()
    is_sent = models.BooleanField()
    reason = models.CharField(max_length=60)
    # Berlin day for which "one a day" is used up; null where that rule is off or nothing was sent.
    day = models.DateField(null=True)
    outgoing = models.ForeignKey(
        OutgoingMessage, null=True, on_delete=models.PROTECT, related_name="auto_replies", db_index=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "sender", "day"],
                name="one_auto_reply_a_day",
                condition=Q(day__isnull=False),
            )
        ]
        indexes = [
            models.Index(fields=["account", "sender", "-decided_at"], name="auto_reply_counter"),
            index_where_set("outgoing", name="auto_reply_outgoing"),
        ]

    def __str__(self) -> str:
        return f"{self.sender}: {self.reason}"


class PollRun(models.Model):
    """One "poll now" of a person, so that its page can show what came of it."""

    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="poll_runs")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    requested_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    # The numbers of polling.PollReport.
    report = models.JSONField(default=dict)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"{self.account_id} {self.requested_at:%Y-%m-%d %H:%M}"
