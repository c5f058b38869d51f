"""Queues, tickets, their conversation and history, and an account's ticket options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from archive.models import RawMail
from jobs.indexes import index_where_set
from mailaccounts.models import MailAccount
from masterdata import roles
from masterdata.models import Address, Project
from outbound.models import OutgoingMessage

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class QueueQuerySet(models.QuerySet["Queue"]):
    """Chainable filters."""

    def granted_to(self, user: AbstractBaseUser | AnonymousUser) -> QueueQuerySet:
        """Queues whose tickets the user may read and answer (superuser: all, recorded)."""
        if roles.is_superuser(user):
            return self
        if not roles.is_agent(user):
            return self.none()
        return self.filter(agents=user.pk)


class Queue(models.Model):
    """A queue (Warteschlange) and the agents who may work its tickets."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(_("active"), default=True)
    agents = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="queues", verbose_name=_("agents")
    )

    objects = QueueQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("queue")
        verbose_name_plural = _("queues")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Page of the queue's settings."""
        return reverse("tickets:queue_edit", args=[self.pk])


class NumberSequence(models.Model):
    """The last ticket number given out on a Berlin day; numbers are reserved in blocks, gaps are allowed."""

    day = models.DateField(primary_key=True)
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.day:%Y%m%d}-{self.last:05d}"


class TicketQuerySet(models.QuerySet["Ticket"]):
    """Chainable filters; lists start from :meth:`visible_to`."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> TicketQuerySet:
        """Tickets of granted queues, and of the user's own personal accounts."""
        if roles.is_superuser(user):
            return self
        if not user.is_authenticated:
            return self.none()
        own = MailAccount.objects.owned_by(user)
        return self.filter(Q(queue__in=Queue.objects.granted_to(user)) | Q(account__in=own))

    def open(self) -> TicketQuerySet:
        """Tickets somebody still has to do something about."""
        return self.filter(state__in=Ticket.OPEN_STATES)


class Ticket(models.Model):
    """One matter of one customer; its number reads ``YYYYMMDD-NNNNN``."""

    class State(models.TextChoices):
        NEW = "new", _("New")
        OPEN = "open", _("Open")
        WAITING_CUSTOMER = "waiting_customer", _("Waiting for customer")
        WAITING_INTERNAL = "waiting_internal", _("Waiting internally")
        CLARIFY = "clarify", _("To be clarified")
        CLOSED = "closed", _("Closed")
        SPAM = "spam", _("Spam")
        TRASH = "trash", _("Trash")

    OPEN_STATES = (State.NEW, State.OPEN, State.WAITING_CUSTOMER, State.WAITING_INTERNAL, State.CLARIFY)

    class Priority(models.IntegerChoices):
        LOW = 1, _("Low")
        NORMAL = 2, _("Normal")
        HIGH = 3, _("High")
        URGENT = 4, _("Urgent")

    # Foreign keys with db_index=False, here and below: the indexes of Meta begin with them.
    number = models.CharField(_("number"), max_length=20, unique=True)
    subject = models.CharField(_("subject"), max_length=998, blank=True)
    state = models.CharField(_("state"), max_length=16, choices=State.choices, default=State.NEW)
    priority = models.PositiveSmallIntegerField(
        _("priority"), choices=Priority.choices, default=Priority.NORMAL
    )
    queue = models.ForeignKey(
        Queue, on_delete=models.PROTECT, related_name="tickets", verbose_name=_("queue"), db_index=False
    )
    project = models.ForeignKey(
        Project,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="tickets",
        verbose_name=_("project"),
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="assigned_tickets",
        verbose_name=_("assignee"),
        db_index=False,
    )
    customer = models.ForeignKey(
        Address,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="tickets",
        verbose_name=_("customer"),
        db_index=False,
    )
    # The account whose mail made the ticket; answers start from it. None for tickets written by hand.
    account = models.ForeignKey(
        MailAccount, null=True, blank=True, on_delete=models.PROTECT, related_name="tickets"
    )
    requester_address = models.CharField(max_length=320, blank=True)
    requester_name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    last_message_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    # Closed on import: a reply does not reopen it until a person has answered or reopened it (product §4).
    stays_closed = models.BooleanField(default=False)
    # Values of tickets.vocabulary.Mark: what an agent should know before acting.
    marks = models.JSONField(default=list)
    related = models.ManyToManyField("self", blank=True)

    objects = TicketQuerySet.as_manager()

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        indexes = [
            models.Index(fields=["-last_message_at", "-id"], name="ticket_newest"),
            models.Index(fields=["queue", "state", "-last_message_at", "-id"], name="ticket_by_queue"),
            models.Index(fields=["assignee", "state", "-last_message_at", "-id"], name="ticket_by_assignee"),
            models.Index(fields=["customer", "-last_message_at"], name="ticket_by_customer"),
            # The few open ones among all closed over the years: what every list and count starts from.
            models.Index(
                fields=["-last_message_at", "-id"],
                name="ticket_open",
                condition=Q(state__in=["new", "open", "waiting_customer", "waiting_internal", "clarify"]),
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.subject}"

    def get_absolute_url(self) -> str:
        """The conversation page."""
        return reverse("tickets:ticket", args=[self.number])


class Participant(models.Model):
    """Somebody whose mail may join the ticket (product §10)."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="participants", db_index=False)
    address = models.CharField(max_length=320)
    name = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ticket", "address"], name="participant_once")]
        indexes = [models.Index(fields=["address"])]

    def __str__(self) -> str:
        return self.address


class TicketMessageQuerySet(models.QuerySet["TicketMessage"]):
    """Chainable filters."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> TicketMessageQuerySet:
        """Messages of tickets the user may read."""
        return self.filter(ticket__in=Ticket.objects.visible_to(user))


class TicketMessage(models.Model):
    """One entry of the conversation: mail in, mail out, automatic answer, or an internal note."""

    class Kind(models.TextChoices):
        INCOMING = "incoming", _("incoming")
        OUTGOING = "outgoing", _("outgoing")
        AUTO_REPLY = "auto_reply", _("automatic answer")
        BOUNCE = "bounce", _("bounce")
        NOTE = "note", _("internal note")

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="messages", db_index=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    from_name = models.CharField(max_length=200, blank=True)
    from_address = models.CharField(max_length=320, blank=True)
    reply_to = models.CharField(max_length=320, blank=True)
    # [["name", "address"], …]
    to = models.JSONField(default=list)
    cc = models.JSONField(default=list)
    # Which of the account's own addresses the mail was sent to (product §4, Ausgehende E-Mailadresse).
    delivered_to = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=998, blank=True)
    text = models.TextField(blank=True)
    # As the sender wrote it. Never render it: tickets.rendering sanitises at every view, so a better
    # sanitiser also protects from old mail (docs/adr).
    untrusted_html = models.TextField(blank=True)
    # As tickets.threads keeps it: without brackets, a digest where it is longer than the column.
    message_id = models.CharField(max_length=255, blank=True)
    # The last ids of the mail's own References: an answer carries them on (RFC 5322 §3.6.4).
    references = models.JSONField(default=list)
    at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    raw = models.ForeignKey(RawMail, null=True, on_delete=models.PROTECT, related_name="ticket_messages")
    outgoing = models.ForeignKey(
        OutgoingMessage, null=True, on_delete=models.PROTECT, related_name="ticket_messages", db_index=False
    )
    marks = models.JSONField(default=list)
    # Token of the form that wrote the message: a form sent twice (double click, lost reply) counts once.
    submission = models.UUIDField(null=True, unique=True, editable=False)

    objects = TicketMessageQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["ticket", "at", "id"], name="message_in_ticket"),
            # Not db_index: PostgreSQL would get a second index for LIKE, which every import paid for.
            models.Index(fields=["message_id"], name="message_by_message_id"),
            index_where_set("author", name="message_author"),
            index_where_set("outgoing", name="message_outgoing"),
        ]

    def __str__(self) -> str:
        return f"#{self.ticket.number} {self.ticket.subject}"

    def get_absolute_url(self) -> str:
        """Its place in the conversation."""
        return f"{self.ticket.get_absolute_url()}#m{self.pk}"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read in it (B2): pages say so instead of showing a blank."""
        return not self.text.strip() and not self.untrusted_html.strip()


class Attachment(models.Model):
    """Metadata of one attachment; its bytes are read out of the raw mail when somebody downloads it."""

    message = models.ForeignKey(
        TicketMessage, on_delete=models.CASCADE, related_name="attachments", db_index=False
    )
    # Index in ParsedMessage.attachments of the raw mail.
    position = models.PositiveSmallIntegerField()
    filename = models.CharField(max_length=255)
    content_type = models.CharField(max_length=255)
    size = models.PositiveIntegerField()
    content_id = models.CharField(max_length=255, blank=True)
    is_inline = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "position"], name="attachment_position")]

    def __str__(self) -> str:
        return self.filename


class TicketEvent(models.Model):
    """One line of the ticket's history; the code is translated when shown."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    code = models.CharField(max_length=60)
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["ticket", "at", "id"], name="event_in_ticket"),
            index_where_set("actor", name="event_actor"),
        ]

    def __str__(self) -> str:
        return self.code


class TicketOptions(models.Model):
    """Ticketsystem: what becomes of the account's mail (product §4)."""

    account = models.OneToOneField(MailAccount, on_delete=models.CASCADE, related_name="ticket_options")
    is_enabled = models.BooleanField(_("import as tickets"), default=False)
    default_project = models.ForeignKey(
        Project,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("default project"),
    )
    default_queue = models.ForeignKey(
        Queue,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("default queue"),
    )
    # Mail whose INTERNALDATE (Europe/Berlin) lies before this day does not become a ticket.
    from_date = models.DateField(_("from date"), null=True, blank=True)
    answers_from_own_address = models.BooleanField(_("answer from the address written to"), default=True)
    deletes_on_server = models.BooleanField(_("delete mail on the server"), default=False)
    # Only mail processed after this moment is deleted; None = nothing. Earlier = confirmed backlog.
    delete_imported_after = models.DateTimeField(null=True, editable=False)
    closes_on_import = models.BooleanField(_("close imported tickets at once"), default=False)
    # One address a line.
    contact_form_senders = models.TextField(_("contact form senders"), blank=True)

    class Meta:
        verbose_name = _("ticket system")

    def __str__(self) -> str:
        return f"{self.account_id}"
