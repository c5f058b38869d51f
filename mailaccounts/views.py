"""Pages: the list of accounts, a new account, and the account with its tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mailaccounts import health, listing, presets, services
from mailaccounts.forms.create import CreateForm, preset_initial
from mailaccounts.forms.imap import ImapForm
from mailaccounts.models import MailAccount
from mailaccounts.navigation import may_see_accounts
from masterdata import roles
from ui import formatting
from ui.conditional import not_modified_or
from ui.csv_export import Column
from ui.sections import Section, account_sections
from ui.views import Choices, ListPage, Option, PageMixin, SectionPage, Segments
from ui.views.base import Crumb

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class AdministratorPage(PageMixin):
    """A page for mail administrators."""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return roles.is_mail_administrator(user)


def accounts_crumb() -> list[Crumb]:
    """The way back to the list."""
    return [(_("E-mail accounts"), reverse("mailaccounts:list"))]


def _cause(account: MailAccount) -> str:
    explanation = health.health_card(account).explanation
    return explanation.cause if explanation else ""


class AccountList(ListPage):
    """All accounts the user may see, with their health."""

    heading = _("E-mail accounts")
    table_template = "mailaccounts/_account_table.html"
    foot_template = "mailaccounts/_account_foot.html"
    template_name = "mailaccounts/list.html"
    search_fields = ("display_name__icontains", "email__icontains", "description__icontains")
    search_placeholder = _("Name or address")
    sorts = {
        "health": ("rank", "display_name", "pk"),
        "name": ("display_name", "pk"),
        "owner": ("kind", "display_name", "pk"),
        "lag": ("lag", "display_name", "pk"),
        "last": ("last_success", "display_name", "pk"),
    }
    default_sort = "health"
    refresh_seconds = 30
    page_size = 100
    empty_icon = "at"
    empty_title = _("No e-mail account yet")
    empty_text = _("An account connects a mailbox. Address and password are enough for the usual providers.")
    create_label = _("Add account")
    filters = (
        Segments(
            "health",
            _("State"),
            (
                Option("", _("All")),
                Option("bad", _("Error"), Q(rank=listing.BAD), "bad"),
                Option("warn", _("Warning"), Q(rank=listing.WARN), "warn"),
                Option("ok", _("In order"), Q(rank=listing.OK), "ok"),
                Option("off", _("Off"), Q(rank=listing.OFF), "off"),
            ),
            counts=True,
        ),
        Choices(
            "owner",
            _("Assignment"),
            _("All assignments"),
            lambda _request: (
                (MailAccount.Kind.COMPANY, _("Company accounts")),
                (MailAccount.Kind.PERSONAL, _("Personal accounts")),
            ),
            "kind",
        ),
    )
    csv_name = "accounts"
    csv_columns = (
        Column(_("Account"), "display_name"),
        Column(_("E-mail address"), "email"),
        Column(_("Assignment"), listing.owners_of),
        Column(_("State"), lambda account: listing.STATE_LABELS[health.health_card(account).state]),
        Column(_("Cause"), _cause),
        Column(_("Backlog"), "lag"),
        Column(_("Last success"), lambda account: health.health_card(account).last_success_at),
        Column(_("IMAP server"), lambda account: account.imap.host if hasattr(account, "imap") else ""),
        Column(_("SMTP server"), lambda account: account.smtp.host if hasattr(account, "smtp") else ""),
    )

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return may_see_accounts(user)

    def get_queryset(self) -> QuerySet[MailAccount]:
        return listing.annotated(MailAccount.objects.visible_to(self.user))

    def get_create_url(self) -> str:
        return reverse("mailaccounts:create") if roles.is_mail_administrator(self.user) else ""

    def get_subheading(self) -> str:
        checked = listing.last_check(MailAccount.objects.visible_to(self.user))
        return gettext("Last polled %(time)s") % {"time": formatting.short_time(checked)} if checked else ""

    def count_text(self, count: int) -> str:
        return ngettext("%(count)s account", "%(count)s accounts", count) % {
            "count": formatting.number(count)
        }

    def get_extra_rows_context(self, rows: list[Any]) -> dict[str, Any]:
        return {
            "account_rows": listing.rows_of(rows),
            "total_backlog": sum(account.lag for account in rows),
            "may_administer": roles.is_mail_administrator(self.user),
        }


class AccountCreate(AdministratorPage):
    """A new account: provider, address, password, tested and saved."""

    template_name = "mailaccounts/create.html"
    heading = _("Add account")

    def get_crumbs(self) -> list[Crumb]:
        return accounts_crumb()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds where the form can be tested before it is saved."""
        urls = {"test_url": "test_new", "folders_url": "folders_new", "preset_url": "preset_new"}
        found = {name: reverse(f"mailaccounts:{url}") for name, url in urls.items()}
        return super().get_context_data(**found, **kwargs)

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """The empty form."""
        return self.render(form=CreateForm(owner=MailAccount(), user=self.user))

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Save, or fill in a provider's servers (without JavaScript that is a button of its own)."""
        if "fill" in request.POST:
            form = CreateForm(owner=MailAccount(), user=self.user, initial=_filled(request))
            return self.render(form=form, preset_hint=_hint(request))
        form = CreateForm(owner=MailAccount(), user=self.user, data=request.POST)
        if not form.is_valid():
            return self.render(form=form, status=422)
        account = form.create()
        messages.success(request, gettext("The account has been added. It is polled within a minute."))
        return redirect(account)


class PresetFields(AdministratorPage):
    """The server fields as a provider fills them in (htmx); nothing is saved."""

    template_name = "mailaccounts/_server_fields.html"

    def post(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Fields and hint for the provider chosen."""
        form = self._form(_filled(request))
        return self.render(form=form, may_test=True, preset_hint=_hint(request))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds where the fields lead to."""
        return super().get_context_data(
            folders_url=self._folders_url(), preset_url=self.request.path, **kwargs
        )

    def _form(self, initial: dict[str, Any]) -> ImapForm:
        if "pk" not in self.kwargs:
            return CreateForm(owner=MailAccount(), user=self.user, initial=initial)
        accounts = MailAccount.objects.visible_to(self.user).select_related("imap", "smtp", "health")
        owner = get_object_or_404(accounts, pk=self.kwargs["pk"])
        return ImapForm(owner=owner, user=self.user, initial=initial)

    def _folders_url(self) -> str:
        if "pk" in self.kwargs:
            return reverse("mailaccounts:folders", args=[self.kwargs["pk"]])
        return reverse("mailaccounts:folders_new")


# What typing so far is carried over when a provider fills in the servers; passwords are not.
_CARRIED = (
    "display_name",
    "email",
    "username",
    "description",
    "kind",
    "host",
    "port",
    "security",
    "poll_seconds",
)


def _filled(request: HttpRequest) -> dict[str, Any]:
    """What was typed so far, with what the provider fills in."""
    data = request.POST
    typed = {name: data[name] for name in (*_CARRIED, "sent_folder") if name in data}
    lists = {"folders": data.get("folders", "INBOX").splitlines(), "copies_sent": "copies_sent" in data}
    return typed | lists | preset_initial(data.get("preset", ""))


def _hint(request: HttpRequest) -> str:
    """What to know about the provider of the address or of the choice."""
    chosen = request.POST.get("preset", "")
    by_address = presets.preset_for_address(request.POST.get("email", ""))
    return presets.hint(chosen if chosen != presets.OWN or by_address is None else by_address.slug)


class AccountPage(SectionPage[MailAccount]):
    """The account: health card, tabs, and the form of one tab."""

    template_name = "mailaccounts/account.html"
    registry = account_sections

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return user.is_authenticated

    def get_owner(self) -> MailAccount:
        return get_object_or_404(
            listing.annotated(MailAccount.objects.visible_to(self.user)), pk=self.kwargs["pk"]
        )

    def get_section_url(self, section: Section) -> str:
        return reverse("mailaccounts:section", args=[self.owner.pk, section.slug])

    def fence(self) -> None:
        # Read anew: the form may have just created what the account is joined with.
        services.after_settings_change(MailAccount.objects.get(pk=self.owner.pk))

    def get_tone(self, section: Section) -> str:
        card = health.health_card(self.owner)
        return card.tone if section.slug == "imap" and card.tone in {"bad", "warn"} else ""

    def get_heading(self) -> str:
        return self.owner.display_name

    def get_subheading(self) -> str:
        since = gettext("since %(day)s") % {"day": formatting.day(self.owner.created_at.date())}
        return " · ".join((self.owner.email, listing.owners_of(self.owner), since))

    def get_crumbs(self) -> list[Crumb]:
        return accounts_crumb()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds the health card and what only administrators may do."""
        card = card_context(self.owner)
        is_administrator = roles.is_mail_administrator(self.user)
        return super().get_context_data(may_administer=is_administrator, **card, **kwargs)


class HealthFragment(PageMixin):
    """The health card alone, polled by the page of the account."""

    template_name = "mailaccounts/_health.html"

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:
        return user.is_authenticated

    def get(self, request: HttpRequest, *_args: Any, **kwargs: Any) -> HttpResponseBase:
        """The card, or 304 while nothing changed."""
        visible = listing.annotated(MailAccount.objects.visible_to(self.user))
        account = get_object_or_404(visible, pk=kwargs["pk"])
        response: HttpResponse = self.render(owner=account, **card_context(account))
        return not_modified_or(request, response.render() if hasattr(response, "render") else response)


def card_context(account: MailAccount) -> dict[str, Any]:
    """What ``_health.html`` shows."""
    (row,) = listing.rows_of([account])
    return {"row": row, "card": row.card, "backlog_sentence": listing.backlog_sentence(row.card.backlog)}
