"""The stable codes that tickets store about themselves, and their words: marks and events."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Mark(models.TextChoices):
    """What an agent should know about a ticket or one of its messages before acting on it."""

    ADDRESS_IN_DISPLAY_NAME = "address-in-display-name", _("The sender's name holds another e-mail address")
    ALSO_SENT_TO = "also-sent-to", _("The same e-mail went to another of our addresses")
    AUTHENTICATION_FAILED = "authentication-failed", _("The sender could not be verified")
    AUTOMATIC = "automatic", _("Written by an automatic responder")
    BOUNCE = "bounce", _("Report of an undeliverable e-mail")
    CONTACT_FORM = "contact-form", _("Came through a contact form")
    FOLLOW_UP = "follow-up", _("Answer to a ticket closed long ago")
    FOREIGN_NUMBER = "foreign-number", _("Names a ticket the sender does not take part in")
    FOREIGN_REFERENCE = "foreign-reference", _("Answers a ticket the sender does not take part in")
    INVALID_SENDER = "invalid-sender", _("The sender's address is missing or invalid")
    OWN_ADDRESS_AS_NAME = "own-address-as-name", _("The sender's name imitates one of our addresses")
    OWN_ADDRESS_AS_SENDER = "own-address-as-sender", _("Sent from one of our addresses, unverified by whom")
    REPLY_TO_ELSEWHERE = "reply-to-elsewhere", _("Answers go to another address than the sender's")
    SEVERAL_SENDERS = "several-senders", _("The e-mail names several senders")
    TEXT_CUT = "text-cut", _("The text is cut; the original holds all of it")
    TOKEN_FROM_UNKNOWN_SENDER = "token-from-unknown-sender", _("The sender answers here for the first time")


class Event(models.TextChoices):
    """What happened to a ticket; ``TicketEvent.data`` holds the particulars named beside each code."""

    CREATED = "ticket.created", _("Ticket created")  # origin: mail | person
    STATE_CHANGED = (
        "state.changed",
        _("State changed"),
    )  # from, to; cause: mail | bounce | answer where not a person
    ASSIGNEE_CHANGED = "assignee.changed", _("Assignee changed")  # from, to: names, "" = nobody
    QUEUE_CHANGED = "queue.changed", _("Queue changed")  # from, to: names
    PRIORITY_CHANGED = "priority.changed", _("Priority changed")  # from, to: numbers of Ticket.Priority
    PROJECT_CHANGED = "project.changed", _("Project changed")  # from, to: names, "" = none
    CUSTOMER_CHANGED = "customer.changed", _("Customer changed")  # from, to: names, "" = none
    ANSWERED = "answer.sent", _("Answer written")  # outgoing: id in the outbox; closes: bool
    NOTED = "note.added", _("Internal note added")
    BOUNCED = "bounce.received", _("An e-mail could not be delivered")  # outgoing: id in the outbox
    LINKED = "ticket.linked", _("Linked to another ticket")  # number, reason: a mark
    AUTOREPLY_SENT = "autoreply.sent", _("Automatic answer sent")  # reason
    AUTOREPLY_SUPPRESSED = "autoreply.suppressed", _("No automatic answer")  # reason
