"""Starting tests of settings and showing how they go."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mailaccounts import connection_tests
from mailaccounts.diagnosis import explain
from mailaccounts.forms.fields import (
    LinesField,
    PasswordField,
    check_folder,
    check_network,
    check_port_matches,
    clean_host,
)
from mailaccounts.forms.imap import ImapForm
from mailaccounts.models import ConnectionTest, ImapSettings, MailAccount
from mailaccounts.steps import shown_steps
from mailaccounts.tasks import run_connection_test
from mailaccounts.views import AdministratorPage, accounts_crumb
from ui.views.base import Crumb

_PANEL = "mailaccounts/_test_panel.html"


class TestForm(forms.ModelForm[ImapSettings]):
    """The part of the IMAP section that a test needs; nothing of it is saved."""

    email = forms.EmailField(required=False)
    username = forms.CharField(max_length=255, required=False)
    password = PasswordField()
    folders = LinesField(check=check_folder, required=False)
    sent_folder = forms.CharField(max_length=255, required=False)

    class Meta:
        model = ImapSettings
        fields = ("host", "port", "security", "username", "folders")

    def clean_host(self) -> str:
        """The bare name of the server."""
        return clean_host(self.cleaned_data["host"])

    def clean(self) -> dict[str, Any]:
        """What a saved form would have to comply with, too."""
        data = super().clean() or self.cleaned_data
        data["username"] = data.get("username") or data.get("email", "")
        if not data["username"]:
            self.add_error("username", _("The user name or the e-mail address is missing."))
        if all(data.get(name) for name in ("host", "port", "security")):
            try:
                check_port_matches(data["port"], data["security"])
                check_network(data["host"], data["port"], data["security"])
            except forms.ValidationError as error:
                self.add_error(None, forms.ValidationError(error.messages))
        return data

    def settings(self) -> ImapSettings:
        """The settings to test, not saved."""
        names = ("host", "port", "security", "username", "folders")
        return ImapSettings(**{name: self.cleaned_data[name] for name in names})


class _StartTest(AdministratorPage):
    """Starting answers with the panel that polls the steps, or, without htmx, with a page of its own."""

    template_name = _PANEL

    def refuse(self, *reasons: str) -> HttpResponseBase:
        """Say why no test was started, where its steps would stand."""
        if self.request.headers.get("HX-Request"):
            return self.render(reasons=reasons)
        return self.render(template="mailaccounts/test.html", reasons=reasons, status=422)

    def follow(self, test: ConnectionTest) -> HttpResponseBase:
        """Show the test that was started."""
        if not self.request.headers.get("HX-Request"):
            return redirect("mailaccounts:test", uuid=test.uuid)
        test.refresh_from_db()
        return self.render(is_fragment=True, **test_context(test, self.request.POST))

    def find_account(self) -> MailAccount | None:
        """The account of the URL; None while it is being created."""
        if "pk" not in self.kwargs:
            return None
        accounts = MailAccount.objects.visible_to(self.user).select_related("imap", "smtp")
        return get_object_or_404(accounts, pk=self.kwargs["pk"])

    def get_heading(self) -> str:
        return gettext("Connection test")

    def get_crumbs(self) -> list[Crumb]:
        return accounts_crumb()


class StartImapTest(_StartTest):
    """Test the IMAP settings of the form, saved or not (Verbindung testen)."""

    kind = ConnectionTest.Kind.IMAP

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Start."""
        account = self.find_account()
        form = TestForm(data=request.POST)
        if not form.is_valid():
            return self.refuse(*_reasons(form))
        try:
            test = connection_tests.start_imap_test(
                task=run_connection_test,
                kind=self.kind,
                account=account,
                settings=form.settings(),
                password=form.cleaned_data["password"],
                by=self.user,
            )
        except connection_tests.PasswordNeeded:
            return self.refuse(str(_ENTER_PASSWORD))
        except connection_tests.TooManyTests:
            return self.refuse(str(_TOO_MANY))
        return self.follow(test)


class StartFolderTest(StartImapTest):
    """List the folders of the mailbox."""

    kind = ConnectionTest.Kind.FOLDERS


class StartMailTest(_StartTest):
    """Send a test mail through the saved settings (Testmail senden)."""

    def post(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Start."""
        account = self.find_account()
        if (
            account is None
            or account.is_retired
            or not (hasattr(account, "smtp") and account.smtp.is_enabled)
        ):
            return self.refuse(gettext("Activate SMTP and save before sending a test mail."))
        try:
            test = connection_tests.start_mail_test(task=run_connection_test, account=account, by=self.user)
        except connection_tests.TooManyTests:
            return self.refuse(str(_TOO_MANY))
        return self.follow(test)


class ShowTest(AdministratorPage):
    """The steps of one's own test: the panel for htmx, else a page."""

    template_name = "mailaccounts/test.html"
    heading = _("Connection test")

    def get_crumbs(self) -> list[Crumb]:
        return accounts_crumb()

    def get(self, request: HttpRequest, *_args: Any, **kwargs: Any) -> HttpResponseBase:
        """How it goes by now."""
        mine = ConnectionTest.objects.filter(started_by=self.user).select_related("account")
        test = get_object_or_404(mine, uuid=kwargs["uuid"])
        template = _PANEL if request.headers.get("HX-Request") else self.template_name
        context = test_context(test, request.GET)
        return self.render(template=template, is_fragment=template == _PANEL, **context)


def test_context(test: ConnectionTest, typed: QueryDict) -> dict[str, Any]:
    """What ``_test_panel.html`` shows; ``typed`` holds the folders that the form names so far."""
    is_over = test.finished_at is not None
    chosen = set(typed.get("folders", "").splitlines())
    is_stalled = not is_over and timezone.now() - test.started_at > connection_tests.STALLED_AFTER
    return {
        "test": test,
        "steps": shown_steps(test),
        "is_running": not is_over and not is_stalled,
        "is_stalled": is_stalled,
        "stalled": explain("test_stalled") if is_stalled else None,
        "folders": test.folders if is_over else [],
        "folder_choices": [row | {"is_chosen": row["name"] in chosen} for row in test.folders],
        "sent_folder_widget": "" if typed.get("sent_folder") else _sent_folder_widget(test),
    }


def _sent_folder_widget(test: ConnectionTest) -> str:
    """The field for sent mail, filled in with what the server reports as \\Sent (RFC 6154), to swap in."""
    proposed = next((row["name"] for row in test.folders if row["special_use"] == "sent"), "")
    if not proposed:
        return ""
    account = test.account or MailAccount()
    form = ImapForm(owner=account, user=test.started_by, initial={"sent_folder": proposed})
    return form["sent_folder"].as_widget(attrs={"class": "form-control", "hx-swap-oob": "true"})


def _reasons(form: forms.BaseForm) -> list[str]:
    reasons = []
    for name, errors in form.errors.items():
        label = form.fields[name].label if name in form.fields else ""
        reasons += [f"{label}: {error}" if label else str(error) for error in errors]
    return reasons


_ENTER_PASSWORD = _(
    "Enter the password: none is stored for exactly this server, port, encryption and user name."
)
_TOO_MANY = _("Five tests a minute are enough for the servers. Wait a moment.")
