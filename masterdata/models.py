"""Master data (Stammdaten): company, projects, addresses with contact persons, employees."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Company(models.Model):
    """Basic settings (Grundeinstellungen): one row."""

    name = models.CharField(_("company name"), max_length=200)
    particulars = models.TextField(_("particulars for mail footers"), blank=True)
    main_address = models.EmailField(_("main address"), blank=True)
    sender_name = models.CharField(_("sender name"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("basic settings")

    def __str__(self) -> str:
        return self.name


class Project(models.Model):
    """A project with the address its mails preferably come from."""

    name = models.CharField(_("name"), max_length=200)
    key = models.SlugField(_("key"), max_length=30, unique=True)
    preferred_sender = models.EmailField(_("preferred sender address"), blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("project")
        verbose_name_plural = _("projects")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Page of the project."""
        return reverse("masterdata:project_edit", args=[self.pk])


class Address(models.Model):
    """A customer, supplier or employee, by role."""

    class Language(models.TextChoices):
        GERMAN = "de", _("German")
        ENGLISH = "en", _("English")

    number = models.CharField(_("number"), max_length=30, unique=True)
    name = models.CharField(_("name"), max_length=200)
    is_customer = models.BooleanField(_("customer"), default=False)
    is_supplier = models.BooleanField(_("supplier"), default=False)
    is_employee = models.BooleanField(_("employee"), default=False)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=50, blank=True)
    mobile = models.CharField(_("mobile"), max_length=50, blank=True)
    fax = models.CharField(_("fax"), max_length=50, blank=True)
    street = models.CharField(_("street"), max_length=200, blank=True)
    postal_code = models.CharField(_("postal code"), max_length=20, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    language = models.CharField(
        _("language"), max_length=2, choices=Language.choices, default=Language.GERMAN
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("address")
        verbose_name_plural = _("addresses")
        indexes = [models.Index(Lower("email"), name="address_email_ci"), models.Index(fields=["name", "id"])]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Page of the address."""
        return reverse("masterdata:address_edit", args=[self.pk])


class ContactPerson(models.Model):
    """A person at an address (Ansprechpartner)."""

    address = models.ForeignKey(Address, on_delete=models.CASCADE, related_name="contact_persons")
    name = models.CharField(_("name"), max_length=200)
    function = models.CharField(_("function"), max_length=100, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=50, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("contact person")
        verbose_name_plural = _("contact persons")
        indexes = [models.Index(Lower("email"), name="contact_email_ci")]

    def __str__(self) -> str:
        return self.name


class Employee(models.Model):
    """An address with the role employee (Mitarbeiter), linked to a login, and that user's settings."""

    address = models.OneToOneField(Address, on_delete=models.PROTECT, related_name="employee")
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="employee"
    )
    email = models.EmailField(_("own e-mail address"), blank=True)
    prefer_own_email = models.BooleanField(_("prefer own e-mail address"), default=False)

    class Meta:
        ordering = ["address__name"]
        verbose_name = _("employee")
        verbose_name_plural = _("employees")

    def __str__(self) -> str:
        return self.address.name

    def get_absolute_url(self) -> str:
        """Page of the employee."""
        return reverse("masterdata:employee_edit", args=[self.pk])


class SubstitutionQuerySet(models.QuerySet["Substitution"]):
    """Chainable filters."""

    def running(self) -> SubstitutionQuerySet:
        """Only substitutions in force on today's Berlin day."""
        today = timezone.localdate()
        return self.filter(starts_on__lte=today, ends_on__gte=today)


class Substitution(models.Model):
    """A colleague who has an employee's access from–to (Vertretung), both days included, Berlin days."""

    employee = models.ForeignKey(Employee, on_delete=models.CASCADE, related_name="substitutions")
    substitute = models.ForeignKey(Employee, on_delete=models.CASCADE, related_name="substitutes_for")
    starts_on = models.DateField(_("from"))
    ends_on = models.DateField(_("to"))

    objects = SubstitutionQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_on"]
        verbose_name = _("substitution")
        verbose_name_plural = _("substitutions")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_on__gte=models.F("starts_on")), name="substitution_period"
            )
        ]

    def __str__(self) -> str:
        return f"{self.substitute} → {self.employee}"
