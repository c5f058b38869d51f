"""A page that says what will happen before it does; deleting is one case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Model, ProtectedError, QuerySet
from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import services as audit
from ui.views.base import PageMixin

M = TypeVar("M", bound=Model)


class RefusedError(Exception):
    """Raised by ``perform`` with the reason, in the user's words, why nothing was done."""


class ConfirmPage(PageMixin, ABC, Generic[M]):
    """Ask about one object, then ``perform``. GET changes nothing.

    Attributes: ``queryset`` (scoped), ``consequences`` (lines), ``submit_label``, ``tone`` of the callout,
    ``is_danger``, ``form_class`` for a reason or another choice, ``refusals``: errors whose words say why
    nothing was done.
    """

    template_name = "ui/confirm.html"
    queryset: QuerySet[M] | None = None
    url_kwarg = "pk"
    lookup_field = "pk"
    submit_label: str | Promise = gettext_lazy("Continue")
    tone = "hint"
    is_danger = False
    form_class: type[BaseForm] | None = None
    refusals: tuple[type[Exception], ...] = (RefusedError,)
    object: M

    def get_queryset(self) -> QuerySet[M]:
        """The objects this user may do it to."""
        if self.queryset is None:
            raise ImproperlyConfigured(f"{type(self).__name__} needs a queryset")
        return self.queryset.all()

    def get_object(self) -> M:
        """The object of the URL; Http404 for foreign and unknown ones."""
        return get_object_or_404(self.get_queryset(), **{self.lookup_field: self.kwargs[self.url_kwarg]})

    def get_consequences(self) -> Sequence[str]:
        """Sentences that say what will happen."""
        return ()

    @abstractmethod
    def perform(self, form: BaseForm | None) -> str | Promise | HttpResponseBase:
        """Do it; return the message to show (or ""), or an answer of its own. One of ``refusals`` says why it
        cannot be done.
        """

    def get_form(self, **data: Any) -> BaseForm | None:
        """The form to fill in before it is done, if any."""
        return self.form_class(**data) if self.form_class else None

    def get_success_url(self) -> str:
        """Where to go afterwards: the innermost page above by default."""
        return self.get_back_url()

    def get_back_url(self) -> str:
        """Where *back* leads."""
        crumbs = self.get_crumbs()
        return crumbs[-1][1] if crumbs else "/"

    def get(self, _request: HttpRequest, /, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Ask."""
        self.object = self.get_object()
        return self.render(form=self.get_form())

    def post(self, request: HttpRequest, /, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Do it, or say why it cannot be done (422)."""
        self.object = self.get_object()
        form = self.get_form(data=request.POST)
        if form is not None and not form.is_valid():
            return self.render(form=form, status=422)
        try:
            outcome = self.perform(form)
        except self.refusals as reason:
            return self.render(form=form, obstacle=str(reason), status=422)
        if isinstance(outcome, HttpResponseBase):
            return outcome
        if outcome:
            messages.success(request, str(outcome))
        return redirect(self.get_success_url())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds the object, the consequences and the buttons."""
        own = {
            "object": self.object,
            "consequences": self.get_consequences(),
            "back_url": self.get_back_url(),
        }
        look = {"submit_label": self.submit_label, "tone": self.tone, "is_danger": self.is_danger}
        return super().get_context_data(**own, **look, **kwargs)


class DeletePage(ConfirmPage[M]):
    """Delete one object, with an audit entry; what still hangs on it is named instead of deleted."""

    submit_label = gettext_lazy("Delete")
    tone = "warn"
    is_danger = True

    def get_heading(self) -> str | Promise:
        """The question."""
        return _("Delete %(name)s") % {"name": self.object}

    def get_consequences(self) -> Sequence[str]:
        """Deleting cannot be undone."""
        return (_("%(name)s will be removed for good.") % {"name": self.object},)

    def perform(self, _form: BaseForm | None) -> str:
        """Delete inside one transaction; RefusedError when other objects need this one."""
        name = str(self.object)
        try:
            with transaction.atomic():
                audit.record(action=f"{self.object._meta.label_lower}.deleted", obj=self.object, by=self.user)  # noqa: SLF001  # Django documents it as public
                self.object.delete()
        except ProtectedError as error:
            raise RefusedError(_still_needed(name, error)) from error
        return _("%(name)s has been deleted.") % {"name": name}


def _still_needed(name: str, error: ProtectedError) -> str:
    kinds = sorted({str(obj._meta.verbose_name_plural) for obj in error.protected_objects})  # noqa: SLF001  # Django documents it as public
    return _("%(name)s is still in use (%(kinds)s) and stays.") % {"name": name, "kinds": ", ".join(kinds)}
