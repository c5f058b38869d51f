"""Users: who may sign in, with which roles. No form ever shows a password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from masterdata import roles, services
from masterdata.models import Employee
from ui.layout import Fieldset


class RoleChoiceField(forms.ModelMultipleChoiceField[Group]):
    """Groups under the names of the roles."""

    def label_from_instance(self, obj: Group) -> str:
        """The role in the reader's language."""
        return str(roles.LABELS.get(obj.name, obj.name))


class UserForm(forms.ModelForm[User]):
    """A user as superusers see it."""

    groups = RoleChoiceField(
        label=_("Roles"),
        queryset=Group.objects.filter(name__in=list(roles.LABELS)).order_by("pk"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    employee = forms.ModelChoiceField(
        label=_("Employee"),
        queryset=Employee.objects.none(),
        required=False,
        empty_label=_("no employee"),
        help_text=_("Whose mailbox and substitutions go with this login"),
    )

    layout: tuple[Fieldset, ...] = (
        Fieldset(_("Login"), ("username", 6), ("email", 6), ("first_name", 6), ("last_name", 6)),
        Fieldset(_("Rights"), ("groups", 6), ("employee", 6), ("is_superuser", 6), ("is_active", 6)),
    )

    class Meta:
        model = User
        fields = ["username", "email", "first_name", "last_name", "is_superuser", "is_active"]
        labels = {
            "email": _("E-mail address"),
            "username": _("User name"),
            "is_superuser": _("Administrator of everything"),
        }
        help_texts = {
            "username": "",
            "email": _("Either signs in"),
            "is_superuser": _("All rights, users included; reading mail is recorded"),
            "is_active": _("Switched off, the user is signed out at once and keeps everything"),
        }

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        """``user`` is who edits."""
        super().__init__(*args, **kwargs)
        self.editor = user
        free = Q(user=None) | Q(user=self.instance) if self.instance.pk else Q(user=None)
        employee = self.fields["employee"]
        employee.queryset = Employee.objects.filter(free).select_related("address")  # type: ignore[attr-defined]  # a ModelChoiceField
        if self.instance.pk:
            self.initial["groups"] = list(self.instance.groups.all())
            self.initial["employee"] = Employee.objects.filter(user=self.instance).first()

    def clean_username(self) -> str:
        """A login name is nobody else's name or address, in any case."""
        return self._free_login(self.cleaned_data["username"])

    def clean_email(self) -> str:
        """The address signs in too."""
        address: str = self.cleaned_data["email"]
        return self._free_login(address) if address else ""

    def clean(self) -> dict[str, Any]:
        """Superusers do not lock themselves out."""
        data = super().clean() or {}
        if self.instance.pk == self.editor.pk:
            for name in ("is_superuser", "is_active"):
                if name in data and not data[name]:
                    self.add_error(name, _("You cannot take this from yourself; another administrator can."))
        return data

    def save(self, commit: bool = True) -> User:  # Django's signature
        """Save user, roles and employee together."""
        if not commit:
            return super().save(commit=False)
        with transaction.atomic():
            user = super().save()
            user.groups.set(self.cleaned_data["groups"])
            services.link_employee(user=user, employee=self.cleaned_data["employee"])
        return user

    def audited_state(self, instance: User | None) -> dict[str, Any]:
        """Fields, roles and employee, never the password."""
        if instance is None:
            return {}
        state: dict[str, Any] = {name: getattr(instance, name) for name in UserForm.Meta.fields}
        state["roles"] = sorted(instance.groups.values_list("name", flat=True))
        state["employee"] = str(
            Employee.objects.filter(user=instance).select_related("address").first() or ""
        )
        return state

    def _free_login(self, name: str) -> str:
        others = User.objects.exclude(pk=self.instance.pk)
        if others.filter(Q(username__iexact=name) | Q(email__iexact=name)).exists():
            raise forms.ValidationError(_("Another user signs in with this already."))
        return name


class NewPasswordMixin(forms.Form):
    """A password typed twice, checked by the validators of the settings."""

    new_password = forms.CharField(
        label=_("Initial password"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 12 characters; pass it on in person, the user changes it"),
    )
    repeated = forms.CharField(
        label=_("Once more"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def check_passwords(self, user: User) -> None:
        """Add errors when the two differ or a validator objects."""
        first, second = self.cleaned_data.get("new_password"), self.cleaned_data.get("repeated")
        if first and second and first != second:
            self.add_error("repeated", _("The two passwords differ."))
        if first:
            try:
                validate_password(first, user)
            except forms.ValidationError as error:
                self.add_error("new_password", error)


class UserCreateForm(NewPasswordMixin, UserForm):
    """A new user with an initial password."""

    layout = (
        *UserForm.layout,
        Fieldset(_("Password"), ("new_password", 6), ("repeated", 6)),
    )

    def clean(self) -> dict[str, Any]:
        """Check the passwords against the name too."""
        data = super().clean()
        self.check_passwords(User(username=data.get("username", ""), email=data.get("email", "")))
        return data

    def save(self, commit: bool = True) -> User:  # Django's signature
        """Hash the password before anything is stored."""
        self.instance.set_password(self.cleaned_data["new_password"])
        return super().save(commit)


class PasswordForm(NewPasswordMixin):
    """A new initial password for a user who lost theirs; ends that user's sessions."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean(self) -> dict[str, Any]:
        """Check the two passwords."""
        data = super().clean() or {}
        self.check_passwords(self.user)
        return data
