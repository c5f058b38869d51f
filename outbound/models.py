"""The outbox: every outgoing mail, its recipients, and every attempt to deliver it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from archive.models import RawMail
from mailaccounts.models import MailAccount
from masterdata import roles

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class OutgoingMessageQuerySet(models.QuerySet["OutgoingMessage"]):
    """Chainable filters; lists start from :meth:`visible_to`."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> OutgoingMessageQuerySet:
        """Administrators see every row (metadata); others what they sent and what their accounts sent."""
        if roles.is_mail_administrator(user):
            return self
        if not user.is_authenticated:
            return self.none()
        return self.filter(Q(created_by=user) | Q(from_account__in=MailAccount.objects.owned_by(user)))

    def unfinished(self) -> OutgoingMessageQuerySet:
        """Rows that have not reached a final state (I4)."""
        return self.exclude(state__in=OutgoingMessage.FINAL_STATES)

    def needing_attention(self) -> OutgoingMessageQuerySet:
        """Not delivered, or perhaps not, and nobody has decided what to do about it."""
        return self.filter(state__in=OutgoingMessage.TROUBLE_STATES, settled_at__isnull=True)


class OutgoingMessage(models.Model):
    """One mail with frozen bytes: what goes on the wire is what the Sent folder and the archive get."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        SENDING = "sending", _("Being sent")
        DOT_SENT = "dot_sent", _("Handed over, reply pending")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")
        UNCERTAIN = "uncertain", _("Delivery uncertain")

    FINAL_STATES = (State.SENT, State.FAILED, State.CANCELLED, State.UNCERTAIN)
    TROUBLE_STATES = (State.FAILED, State.UNCERTAIN)

    class Purpose(models.TextChoices):
        TICKET = "ticket", _("ticket answer")
        AUTO_REPLY = "auto_reply", _("automatic answer")
        SYSTEM = "system", _("system message")

    class CopyState(models.TextChoices):
        NONE = "none", _("no copy wanted")
        PENDING = "pending", _("copy pending")
        DONE = "done", _("copied")
        FAILED = "failed", _("copy failed")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # Transports; contributes only the connection.
    account = models.ForeignKey(MailAccount, on_delete=models.PROTECT, related_name="transported")
    # The account of the From address, where there is one: display name, Sent copy, rights.
    from_account = models.ForeignKey(
        MailAccount, null=True, on_delete=models.PROTECT, related_name="outgoing"
    )
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    from_address = models.EmailField(max_length=320)
    from_name = models.CharField(max_length=200, blank=True)
    # "" is the null reverse-path (RFC 5321 §4.5.5).
    envelope_sender = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=998, blank=True)
    message_id = models.CharField(max_length=255, db_index=True)
    raw = models.ForeignKey(RawMail, on_delete=models.PROTECT, related_name="outgoing")

    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    next_attempt_at = models.DateTimeField()
    # A transient refusal after this moment is a failure.
    give_up_at = models.DateTimeField()
    inflight_since = models.DateTimeField(null=True)
    claim_token = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    last_reply_code = models.PositiveIntegerField(default=0)
    last_reply = models.CharField(max_length=500, blank=True)
    last_error = models.CharField(max_length=60, blank=True)
    finished_at = models.DateTimeField(null=True)
    # A mail is sent again once; whoever repeats it a second time repeats the repetition.
    replaces = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="replaced_by")
    # A person decided about an uncertain delivery: "arrived" (settled) or sent again (see ``replaced_by``).
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    settled_at = models.DateTimeField(null=True)

    copy_state = models.CharField(max_length=8, choices=CopyState.choices, default=CopyState.NONE)
    copy_attempts = models.PositiveIntegerField(default=0)
    copy_next_attempt_at = models.DateTimeField(null=True)
    copy_error = models.CharField(max_length=500, blank=True)
    bounced_at = models.DateTimeField(null=True)
    bounce_detail = models.CharField(max_length=500, blank=True)

    objects = OutgoingMessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("outgoing e-mail")
        verbose_name_plural = _("outgoing e-mails")
        indexes = [
            models.Index(
                fields=["account", "next_attempt_at"],
                name="outgoing_due",
                condition=Q(state__in=["queued", "sending", "dot_sent"]),
            ),
            models.Index(
                fields=["copy_next_attempt_at"], name="outgoing_copy_due", condition=Q(copy_state="pending")
            ),
            models.Index(fields=["state", "-id"], name="outgoing_by_state"),
            models.Index(
                fields=["-id"],
                name="outgoing_attention",
                condition=Q(state__in=["failed", "uncertain"], settled_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.subject or self.message_id

    def get_absolute_url(self) -> str:
        """Page of the mail in the outbox."""
        return reverse("outbound:message", args=[self.pk])


class Recipient(models.Model):
    """One envelope recipient and what became of it. Bcc exists here only."""

    class Kind(models.TextChoices):
        TO = "to", _("To")
        CC = "cc", _("Cc")
        BCC = "bcc", _("Bcc")

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting")
        ACCEPTED = "accepted", _("Accepted")
        REFUSED = "refused", _("Refused")
        BOUNCED = "bounced", _("Bounced")

    message = models.ForeignKey(OutgoingMessage, on_delete=models.CASCADE, related_name="recipients")
    kind = models.CharField(max_length=3, choices=Kind.choices)
    address = models.CharField(max_length=320)
    name = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    reply_code = models.PositiveIntegerField(default=0)
    reply = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "address"], name="recipient_once")]

    def __str__(self) -> str:
        return self.address


class DeliveryAttempt(models.Model):
    """One attempt: when, what the server said, and (with SMTP-Debug) the redacted dialogue."""

    message = models.ForeignKey(OutgoingMessage, on_delete=models.CASCADE, related_name="delivery_attempts")
    account = models.ForeignKey(MailAccount, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=60, blank=True)
    reply_code = models.PositiveIntegerField(default=0)
    reply = models.CharField(max_length=500, blank=True)
    transcript = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["message", "-id"])]

    def __str__(self) -> str:
        return f"{self.message_id}: {self.outcome}"


class DeliveryThrottle(models.Model):
    """Why an account's mail waits: its server does not answer, says 421, or refuses the login.

    The row exists while the account fails. It holds off new attempts until ``retry_at``; with ``is_paused``
    (wrong credentials, three times: R32) until the settings differ from ``settings_fingerprint``.
    """

    account = models.OneToOneField(MailAccount, on_delete=models.CASCADE, related_name="delivery_throttle")
    failing_since = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    login_failures = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField()
    is_paused = models.BooleanField(default=False)
    settings_fingerprint = models.CharField(max_length=64)
    error_code = models.CharField(max_length=60)
    error_detail = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.error_code}"
