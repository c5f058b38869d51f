"""The login page and the change of one's own password."""

from __future__ import annotations

from typing import Any

from axes.utils import reset
from django import forms
from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import services as audit
from masterdata import login


class LoginForm(AuthenticationForm):
    """E-mail address or user name, and password."""

    username = forms.CharField(
        label=gettext_lazy("E-mail address or user name"),
        max_length=254,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "off", "autofocus": True}
        ),
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def confirm_login_allowed(self, _user: object) -> None:
        """Inactive accounts were refused by the backend with the common text; nothing more is told here."""


class LoginPage(LoginView):
    """Signing in; the session key changes with it."""

    template_name = "masterdata/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in; what was counted against the name as typed is forgotten."""
        response = super().form_valid(form)
        reset(username=login.counted_name(self.request, None), ip=self.request.META.get("REMOTE_ADDR"))
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Say how many attempts are left; the same for unknown names."""
        remaining = login.remaining_attempts(self.request)
        pause = login.pause_in_words(login.next_pause(self.request))
        context = self.get_context_data(form=form, remaining=remaining, pause_text=pause)
        return self.render_to_response(context, status=422)


class PasswordPage(PasswordChangeView):
    """One's own password; other sessions of the user end with it."""

    template_name = "masterdata/password.html"
    form_class = PasswordChangeForm
    success_url = reverse_lazy("cockpit:start")
    extra_context = {"heading": gettext_lazy("Change password")}

    def form_valid(self, form: Any) -> HttpResponse:
        """Change it, record that it changed, stay signed in here."""
        response = super().form_valid(form)
        user = form.user
        audit.record(action="auth.user.password", obj=user, by=user, changes={"password": audit.SECRET})
        messages.success(
            self.request, _("Your password has been changed. Other devices need to sign in again.")
        )
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show what is missing."""
        return self.render_to_response(self.get_context_data(form=form), status=422)
