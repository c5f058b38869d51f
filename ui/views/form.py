"""The generic form: create without a key in the URL, edit with one; saving leaves an audit entry."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Generic, TypeVar

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audit import services as audit
from ui.sections import audited_state
from ui.views.base import PageMixin

M = TypeVar("M", bound=Model)


class FormPage(PageMixin, Generic[M]):
    """Create or edit one object by a ModelForm with explicit fields.

    Attributes: ``form_class``, ``queryset`` (or ``get_queryset``, scoped to ``self.user``: what is not in it
    is a 404), ``success_url``/``get_success_url``, ``success_message``, ``audit_name`` (default: the model's
    label, so that entries read ``masterdata.project.changed``), ``audit_secrets``, ``create_heading``.
    """

    template_name = "ui/form.html"
    form_class: type[ModelForm[M]] | None = None
    queryset: QuerySet[M] | None = None
    url_kwarg = "pk"
    lookup_field = "pk"
    create_heading: str | Promise = ""
    submit_label: str | Promise = ""
    success_message: str | Promise = _("Saved.")
    audit_name = ""
    audit_secrets: Collection[str] = ()

    object: M | None = None

    def get_queryset(self) -> QuerySet[M]:
        """The objects this user may edit."""
        if self.queryset is None:
            raise ImproperlyConfigured(f"{type(self).__name__} needs a queryset")
        return self.queryset.all()

    def get_object(self) -> M | None:
        """The object of the URL, None when creating; raises Http404 for foreign and unknown ones."""
        if self.url_kwarg not in self.kwargs:
            return None
        return get_object_or_404(self.get_queryset(), **{self.lookup_field: self.kwargs[self.url_kwarg]})

    def get_form_kwargs(self) -> dict[str, Any]:
        """Further arguments of the form (``user=…``, ``initial=…``)."""
        return {}

    def get_form(self, **data: Any) -> ModelForm[M]:
        """The form, bound when ``data`` is given."""
        if self.form_class is None:
            raise ImproperlyConfigured(f"{type(self).__name__} needs a form_class")
        return self.form_class(instance=self.object, **self.get_form_kwargs(), **data)

    def get(self, _request: HttpRequest, /, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Show the form."""
        self.object = self.get_object()
        return self.render(form=self.get_form())

    def post(self, request: HttpRequest, /, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Save and go on, or show what is missing (422, so that htmx and tests can tell)."""
        self.object = self.get_object()
        form = self.get_form(data=request.POST, files=request.FILES)
        if not self.is_valid(form):
            return self.render(form=form, status=422)
        self.object = self.save(form)
        messages.success(request, str(self.success_message))
        return self.redirect_to_success()

    def is_valid(self, form: ModelForm[M]) -> bool:
        """Whether all may be saved; override to include formsets."""
        return form.is_valid()

    def save(self, form: ModelForm[M]) -> M:
        """Save the form and its audit entry in one transaction."""
        created = self.object is None
        with transaction.atomic():
            # Read again: the form has already written the new values onto its instance.
            stored = None if created else self.get_queryset().filter(pk=form.instance.pk).first()
            before = self.audited(form, stored)
            saved: M = self.save_objects(form)
            self.record(saved, before, self.audited(form, saved), created=created)
        return saved

    def save_objects(self, form: ModelForm[M]) -> M:
        """Write to the database, inside the transaction; override to save formsets too."""
        return form.save()

    def audited(self, form: ModelForm[M], stored: M | None) -> dict[str, Any]:
        """What the audit entry compares before and after."""
        return audited_state(form, stored)

    def record(self, saved: M, before: dict[str, Any], after: dict[str, Any], *, created: bool) -> None:
        """Append the audit entry; nothing when nothing changed."""
        changes = audit.differences(before, after, secrets=self.audit_secrets)
        if changes or created:
            name = self.audit_name or saved._meta.label_lower  # noqa: SLF001  # Django documents it as public
            audit.record(
                action=f"{name}.{'created' if created else 'changed'}",
                obj=saved,
                by=self.user,
                changes=changes,
            )

    def get_success_url(self) -> str:
        """Where to go after saving: the object's own page by default."""
        return self.object.get_absolute_url()  # type: ignore[union-attr,no-any-return]  # a model with a page of its own

    def redirect_to_success(self) -> HttpResponse:
        """The redirect after saving."""
        return redirect(self.get_success_url())

    def get_heading(self) -> str | Promise:
        """The object's name, or what is being created."""
        return str(self.object) if self.object is not None else self.create_heading

    def get_back_url(self) -> str:
        """Where *discard* leads: the innermost page above."""
        crumbs = self.get_crumbs()
        return crumbs[-1][1] if crumbs else ""

    def get_delete_url(self) -> str:
        """Where deleting is asked for; "" where there is no such thing."""
        return ""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds the object and the buttons."""
        own = {"object": self.object, "back_url": self.get_back_url(), "submit_label": self.submit_label}
        delete_url = self.get_delete_url() if self.object is not None else ""
        return super().get_context_data(**own, delete_url=delete_url, **kwargs)
