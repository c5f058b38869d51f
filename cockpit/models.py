"""Alerts: what is wrong with an account or the installation, since when, and who was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mailaccounts.models import MailAccount
from masterdata import roles
from outbound.models import OutgoingMessage

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class AlertQuerySet(models.QuerySet["Alert"]):
    """Chainable filters; lists start from :meth:`visible_to`."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> AlertQuerySet:
        """Administrators see all alerts; owners what they can judge of their own accounts.

        What is only being observed is shown to nobody.
        """
        alerts = self.filter(opened_at__isnull=False)
        if roles.is_mail_administrator(user):
            return alerts
        own = MailAccount.objects.owned_by(user)
        return alerts.filter(account__in=own, kind__in=Alert.OWNER_KINDS)

    def unclosed(self) -> AlertQuerySet:
        """Open alerts, and what is only being observed."""
        return self.filter(closed_at__isnull=True)

    def open(self) -> AlertQuerySet:
        """Alerts that hold."""
        return self.filter(opened_at__isnull=False, closed_at__isnull=True)


class Alert(models.Model):
    """One thing that is wrong with one account, or with the installation (``account`` null).

    ``opened_at`` null: seen, but not for long enough to be told; when it passes, the row goes without a word.
    ``params`` is what :mod:`cockpit.alerts.wording` puts into words.
    """

    class Kind(models.TextChoices):
        POLLING = "polling", _("E-mails are not fetched")
        LATE = "late", _("E-mails are fetched late")
        SENDING = "sending", _("Nothing is sent")
        TOKEN = "token", _("Access about to end")
        UNDELIVERED = "undelivered", _("E-mails wait too long")
        UNSETTLED = "unsettled", _("E-mails need a decision")
        QUARANTINE = "quarantine", _("E-mails in quarantine")
        BACKLOG = "backlog", _("Large backlog")
        WATCHER = "watcher", _("Watcher silent")
        WORKER = "worker", _("Background work silent")

    class Severity(models.IntegerChoices):
        NOTICE = 1, _("For your information")
        WARNING = 2, _("Warning")
        CRITICAL = 3, _("Needs a person")

    # What owners of an account hear of; the rest only administrators can do something about.
    OWNER_KINDS = (Kind.POLLING, Kind.SENDING, Kind.TOKEN, Kind.UNDELIVERED, Kind.UNSETTLED)
    # An account with one of these carries no alert mail.
    KEEPS_FROM_SENDING = (Kind.POLLING, Kind.SENDING, Kind.UNDELIVERED)

    class MailProblem(models.TextChoices):
        NO_CARRIER = "no_carrier", _("Could not be mailed: no other account can send.")
        NO_READER = "no_reader", _("Could not be mailed: nobody concerned has an e-mail address.")

    kind = models.CharField(_("what"), max_length=12, choices=Kind.choices)
    account = models.ForeignKey(MailAccount, null=True, on_delete=models.CASCADE, related_name="alerts")
    severity = models.PositiveSmallIntegerField(choices=Severity.choices)
    params = models.JSONField(default=dict)
    # When the trouble began, as far as known; when it was first and last observed; when it became an alert.
    since = models.DateTimeField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    # Not observed since; after a while the alert is closed.
    clear_since = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    # When it was last mailed (opening, reminder), and when the all-clear was.
    notified_at = models.DateTimeField(null=True)
    all_clear_at = models.DateTimeField(null=True)
    mail_problem = models.CharField(max_length=10, blank=True, choices=MailProblem.choices)
    # "Seen": no reminders, until it gets worse.
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = AlertQuerySet.as_manager()

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "account"],
                name="one_unclosed_alert",
                condition=Q(closed_at__isnull=True, account__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["kind"],
                name="one_unclosed_general_alert",
                condition=Q(closed_at__isnull=True, account__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["-opened_at", "-id"], name="alert_latest"),
            models.Index(
                fields=["closed_at"],
                name="alert_without_all_clear",
                condition=Q(closed_at__isnull=False, notified_at__isnull=False, all_clear_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.account}" if self.account else self.get_kind_display()


class AlertNotice(models.Model):
    """An alert stood in a mail; its recipients and what became of it are the outbox's to tell."""

    class Occasion(models.TextChoices):
        OPENED = "opened", _("alert")
        REMINDER = "reminder", _("reminder")
        ALL_CLEAR = "all_clear", _("all-clear")

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="notices")
    message = models.ForeignKey(OutgoingMessage, on_delete=models.CASCADE, related_name="alert_notices")
    occasion = models.CharField(max_length=9, choices=Occasion.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alert", "message"], name="alert_once_a_mail")]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.occasion}"
