"""E-mail accounts with their two ways in and out, their health, and tests of settings not yet saved."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mailaccounts.oauth_models import OAuthAuthorisation, OAuthClient, OAuthToken
from masterdata import roles
from masterdata.models import Employee
from masterdata.selectors import employees_acting_as

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

__all__ = [
    "AccountHealth",
    "ConnectionEvent",
    "ConnectionTest",
    "FurtherSender",
    "ImapSettings",
    "MailAccount",
    "MailAccountEmployee",
    "MailAccountQuerySet",
    "OAuthAuthorisation",
    "OAuthClient",
    "OAuthToken",
    "SmtpSettings",
]


class MailAccountQuerySet(models.QuerySet["MailAccount"]):
    """Chainable filters; lists start from :meth:`visible_to`."""

    def active(self) -> MailAccountQuerySet:
        """Accounts that are not retired."""
        return self.filter(retired_at__isnull=True)

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> MailAccountQuerySet:
        """Accounts whose settings and health the user may see: administrators all, employees their own."""
        if roles.is_mail_administrator(user):
            return self
        return self.owned_by(user)

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> MailAccountQuerySet:
        """Personal accounts of the user, or of those whom the user substitutes today."""
        owned = MailAccountEmployee.objects.filter(employee__in=employees_acting_as(user))
        return self.filter(kind=MailAccount.Kind.PERSONAL, pk__in=owned.values("account"))

    def usable_by(self, user: AbstractBaseUser | AnonymousUser) -> MailAccountQuerySet:
        """Accounts the user may send from (product §6): own ones, and company accounts open to them."""
        acting = employees_acting_as(user)
        listed = MailAccountEmployee.objects.filter(employee__in=acting)
        company = Q(kind=MailAccount.Kind.COMPANY)
        if not roles.is_staff_member(user):
            company &= Q(pk__in=listed.values("account"))
        open_to_user = company & (Q(pk__in=listed.values("account")) | Q(employee_links__isnull=True))
        own = Q(kind=MailAccount.Kind.PERSONAL, pk__in=listed.values("account"))
        return self.active().filter(open_to_user | own).distinct()


class MailAccount(models.Model):
    """One mailbox and what may be done with it; retired, not deleted, once mail hangs on it."""

    class Kind(models.TextChoices):
        COMPANY = "company", _("company account")
        PERSONAL = "personal", _("personal account")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.COMPANY)
    display_name = models.CharField(_("displayed name"), max_length=200)
    email = models.EmailField(_("e-mail address"))
    description = models.CharField(_("internal description"), max_length=500, blank=True)
    # The standard account carries mail that nobody else carries: it lists the main domain from the start.
    is_standard = models.BooleanField(_("standard account"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Polling put on hold by a person; sending goes on.
    on_hold_since = models.DateTimeField(null=True, blank=True, editable=False)
    employees = models.ManyToManyField(Employee, through="MailAccountEmployee", related_name="mail_accounts")

    objects = MailAccountQuerySet.as_manager()

    class Meta:
        ordering = ["display_name"]
        verbose_name = _("e-mail account")
        verbose_name_plural = _("e-mail accounts")
        constraints = [
            models.UniqueConstraint(Lower("email"), name="account_email_ci"),
            models.UniqueConstraint(
                fields=["is_standard"], condition=Q(is_standard=True), name="one_standard_account"
            ),
        ]

    def __str__(self) -> str:
        return self.display_name

    def get_absolute_url(self) -> str:
        """Page of the account."""
        return reverse("mailaccounts:account", args=[self.pk])

    @property
    def is_retired(self) -> bool:
        """Retired accounts neither poll nor send."""
        return self.retired_at is not None

    @property
    def lease_name(self) -> str:
        """Name of the lease that one poll at a time holds; saving settings revokes it."""
        return f"account:{self.pk}"

    @property
    def sending_lease_name(self) -> str:
        """Name of the lease that one sending session at a time holds; saving settings revokes it, too."""
        return f"outbound:{self.pk}"

    @property
    def copying_lease_name(self) -> str:
        """Name of the lease for copying what was sent to the mailbox; saving settings revokes it, too."""
        return f"sent-copies:{self.pk}"

    @property
    def lease_names(self) -> list[str]:
        """All leases of work that goes on under the account's settings."""
        return [self.lease_name, self.sending_lease_name, self.copying_lease_name]


class MailAccountEmployee(models.Model):
    """An employee of a personal account, or one who may send from a company account."""

    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="employee_links")
    employee = models.ForeignKey(Employee, on_delete=models.CASCADE, related_name="account_links")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "employee"], name="account_employee")]

    def __str__(self) -> str:
        return f"{self.account_id}:{self.employee_id}"


class ImapSettings(models.Model):
    """How the mailbox is read, and where sent mail is copied to."""

    class Security(models.TextChoices):
        TLS = "tls", _("SSL/TLS from the start (recommended)")
        STARTTLS = "starttls", _("STARTTLS")
        NONE = "none", _("none (listed networks only)")

    class Authentication(models.TextChoices):
        PASSWORD = "password", _("user name and password")
        OAUTH = "oauth", _("consent at the provider (OAuth)")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    account = models.OneToOneField(MailAccount, on_delete=models.CASCADE, related_name="imap")
    host = models.CharField(_("IMAP server"), max_length=255)
    port = models.PositiveIntegerField(
        _("IMAP port"), default=993, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    security = models.CharField(
        _("encryption"), max_length=10, choices=Security.choices, default=Security.TLS
    )
    authentication = models.CharField(
        _("authentication"), max_length=10, choices=Authentication.choices, default=Authentication.PASSWORD
    )
    username = models.CharField(_("user name"), max_length=255)
    password_encrypted = models.TextField(blank=True, editable=False)
    password_changed_at = models.DateTimeField(null=True, editable=False)
    folders = models.JSONField(_("folders"), default=list)
    poll_seconds = models.PositiveIntegerField(
        _("poll interval in seconds"),
        default=60,
        validators=[MinValueValidator(10), MaxValueValidator(86_400)],
    )
    copies_sent = models.BooleanField(_("copy sent mail to the server"), default=False)
    sent_folder = models.CharField(_("IMAP folder for sent mail"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("IMAP settings")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class SmtpSettings(models.Model):
    """How mail leaves through the account; without ``is_enabled`` it transports nothing."""

    class Transport(models.TextChoices):
        SMTP = "smtp", _("SMTP server")
        LOCAL = "local", _("local mail program")

    class Security(models.TextChoices):
        NONE = "none", _("none (listed networks only)")
        STARTTLS = "starttls", _("TLS (STARTTLS, mandatory)")
        TLS = "tls", _("SSL (implicit TLS)")

    class Authentication(models.TextChoices):
        NONE = "none", _("none (relay in a listed network)")
        PASSWORD = "password", _("user name and password")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    account = models.OneToOneField(MailAccount, on_delete=models.CASCADE, related_name="smtp")
    is_enabled = models.BooleanField(_("activate SMTP"), default=False)
    transport = models.CharField(
        _("transport"), max_length=10, choices=Transport.choices, default=Transport.SMTP
    )
    host = models.CharField(_("SMTP server"), max_length=255, blank=True)
    port = models.PositiveIntegerField(
        _("SMTP port"), default=587, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    security = models.CharField(
        _("SMTP-SSL"), max_length=10, choices=Security.choices, default=Security.STARTTLS
    )
    authentication = models.CharField(
        _("SMTP authentication"),
        max_length=10,
        choices=Authentication.choices,
        default=Authentication.PASSWORD,
    )
    has_own_login = models.BooleanField(_("own SMTP login"), default=False)
    username = models.CharField(_("user name"), max_length=255, blank=True)
    password_encrypted = models.TextField(blank=True, editable=False)
    password_changed_at = models.DateTimeField(null=True, editable=False)
    debug_until = models.DateTimeField(null=True, blank=True, editable=False)
    sender_address = models.EmailField(_("sender e-mail address"), blank=True)
    sender_name = models.CharField(_("SMTP sender name"), max_length=200, blank=True)
    client_alias = models.CharField(_("client alias (EHLO name)"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("SMTP settings")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class FurtherSender(models.Model):
    """An address, or every address of a domain, that the account may also transport (weitere Absender)."""

    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="further_senders")
    # "name@domain", or "@domain" for a whole domain; lower case.
    pattern = models.CharField(max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "pattern"], name="account_further_sender")]
        indexes = [models.Index(fields=["pattern"])]

    def __str__(self) -> str:
        return self.pattern


class AccountHealth(models.Model):
    """What polling the account last came to; hot, so kept apart from the settings."""

    account = models.OneToOneField(MailAccount, on_delete=models.CASCADE, related_name="health")
    last_attempt_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    next_poll_at = models.DateTimeField(null=True, db_index=True)
    failing_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    # Refused logins in a row, whatever else failed in between: providers lock accounts that go on trying.
    login_failures = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    # Wrong credentials stop polling after three attempts until the password or the settings change (R32).
    is_paused = models.BooleanField(default=False)
    backlog = models.PositiveIntegerField(default=0)
    warning_code = models.CharField(max_length=60, blank=True)

    class Meta:
        verbose_name = _("health")

    def __str__(self) -> str:
        return self.error_code or "ok"


class ConnectionEvent(models.Model):
    """A failure, recovery or change of polling worth telling; the last fifty of each account are kept."""

    class Kind(models.TextChoices):
        FAILED = "failed", _("poll failed")
        PAUSED = "paused", _("polling paused")
        RECOVERED = "recovered", _("polling recovered")
        WARNED = "warned", _("warning")

    KEPT = 50

    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="connection_events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    code = models.CharField(max_length=60, blank=True)
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-id"], name="connection_event_latest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.code}"


class ConnectionTest(models.Model):
    """A test of settings, saved or not, running in the worker; short-lived, its secret encrypted."""

    class Kind(models.TextChoices):
        IMAP = "imap", _("IMAP connection")
        SMTP = "smtp", _("test mail")
        FOLDERS = "folders", _("list of folders")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    account = models.ForeignKey(MailAccount, null=True, on_delete=models.CASCADE, related_name="tests")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    parameters_encrypted = models.TextField(blank=True)
    # What a row holds: see mailaccounts/steps.py.
    steps = models.JSONField(default=list)
    folders = models.JSONField(default=list)
    # Message-ID of the test mail, so that its arrival is recognised and never becomes a ticket.
    message_id = models.CharField(max_length=255, blank=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.uuid}"
