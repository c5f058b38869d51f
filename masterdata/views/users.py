"""Users: superusers create them, give roles and initial passwords; nobody sees a password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.forms import BaseForm
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audit import services as audit
from masterdata import access
from masterdata.forms import PasswordForm, UserCreateForm, UserForm
from masterdata.views.settings import settings_crumb
from ui import formatting
from ui.csv_export import Column
from ui.views import ConfirmPage, FormPage, ListPage, Option, Segments
from ui.views.base import Crumb


class UserList(access.ForSuperusers, ListPage):
    """All who may sign in."""

    heading = gettext_lazy("Users")
    queryset = User.objects.select_related("employee__address").prefetch_related("groups")
    table_template = "masterdata/_user_table.html"
    sorts = {"username": ("username",), "email": ("email", "pk")}
    default_sort = "username"
    search_fields = (
        "username__icontains",
        "email__icontains",
        "first_name__icontains",
        "last_name__icontains",
    )
    search_placeholder = gettext_lazy("Name or e-mail")
    filters = (
        Segments(
            "state",
            gettext_lazy("State"),
            (
                Option("", gettext_lazy("Active"), Q(is_active=True)),
                Option("off", gettext_lazy("Switched off"), Q(is_active=False), "off"),
            ),
            counts=True,
        ),
    )
    csv_name = "users"
    csv_columns = (
        Column(gettext_lazy("User name"), "username"),
        Column(gettext_lazy("E-mail address"), "email"),
        Column(gettext_lazy("Roles"), lambda user: ", ".join(group.name for group in user.groups.all())),
        Column(gettext_lazy("Last sign-in"), "last_login"),
    )
    empty_icon = "key"
    empty_title = gettext_lazy("No users")
    create_label = gettext_lazy("Add user")

    def count_text(self, count: int) -> str:
        """How many."""
        return ngettext("%(count)s user", "%(count)s users", count) % {"count": formatting.number(count)}

    def get_create_url(self) -> str:
        """Superusers may."""
        return reverse("masterdata:user_create")

    def get_crumbs(self) -> list[Crumb]:
        """Below settings."""
        return [settings_crumb()]


class UserPage(access.ForSuperusers, FormPage[User]):
    """One user: login, roles, employee."""

    template_name = "masterdata/user.html"
    form_class = UserForm
    queryset = User.objects.all()

    def get_form_kwargs(self) -> dict[str, Any]:
        """The form wants to know who edits."""
        return {"user": self.user}

    def get_heading(self) -> str:
        """The name people know."""
        return (self.object.get_full_name() or self.object.username) if self.object else _("New user")

    def get_crumbs(self) -> list[Crumb]:
        """Below the list."""
        return [settings_crumb(), (_("Users"), reverse("masterdata:user_list"))]

    def get_success_url(self) -> str:
        """The list."""
        return reverse("masterdata:user_list")


class UserCreatePage(UserPage):
    """A new user with an initial password."""

    template_name = "ui/form.html"
    form_class = UserCreateForm


class UserPasswordPage(access.ForSuperusers, ConfirmPage[User]):
    """A new initial password."""

    queryset = User.objects.all()
    submit_label = gettext_lazy("Set password")

    def get_heading(self) -> str:
        """Whose."""
        return _("New password for %(name)s") % {"name": self.object.get_username()}

    def get_consequences(self) -> list[str]:
        """Other sessions end with the old password."""
        return [_("The user is signed out everywhere and needs the new password.")]

    def get_form(self, **data: Any) -> BaseForm:
        """The form checks the password against the user's name."""
        return PasswordForm(user=self.object, **data)

    def perform(self, form: BaseForm | None) -> str:
        """Store the hash and record that it changed."""
        with transaction.atomic():
            self.object.set_password(form.cleaned_data["new_password"])  # type: ignore[union-attr]  # this page has a form
            self.object.save(update_fields=["password"])
            changes = {"password": audit.SECRET}
            audit.record(action="auth.user.password", obj=self.object, by=self.user, changes=changes)
        return _("The new password is set.")

    def get_crumbs(self) -> list[Crumb]:
        """Below the user."""
        return [
            (_("Users"), reverse("masterdata:user_list")),
            (self.object.get_username(), reverse("masterdata:user_edit", args=[self.object.pk])),
        ]
