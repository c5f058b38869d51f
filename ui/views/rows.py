"""A form with rows of a second kind below it (an address and its contact persons), saved together."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model
from django.forms import BaseInlineFormSet, ModelForm, inlineformset_factory
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ui.views.form import FormPage

M = TypeVar("M", bound=Model)
MAX_ROWS = 200


class FormWithRowsPage(FormPage[M]):
    """Adds an inline formset to :class:`FormPage`.

    Attributes: ``row_form_class`` (a ModelForm; its ``layout`` gives the widths), ``row_relation`` (name of
    the reverse relation, which names the rows in the audit entry too), ``row_fk`` where the row has several
    keys to the same model, ``rows_legend``, ``row_add_label``.
    """

    template_name = "ui/form_with_rows.html"
    row_form_class: type[ModelForm[Any]]
    row_relation = ""
    row_fk: str | None = None
    rows_legend: str | Promise = ""
    rows_help: str | Promise = ""
    row_add_label: str | Promise = _("Add another")

    rows: BaseInlineFormSet[Any, Any, Any]

    def get_rows(self, **data: Any) -> BaseInlineFormSet[Any, Any, Any]:
        """The formset for the object, with one empty row, so that adding needs no script."""
        form: Any = self.row_form_class
        parent: type[Model] = self.get_queryset().model
        factory = inlineformset_factory(
            parent,
            form.Meta.model,
            form=form,
            fk_name=self.row_fk,
            extra=1,
            max_num=MAX_ROWS,
            absolute_max=MAX_ROWS,
        )
        return factory(instance=self.object or parent(), prefix="rows", **data)

    def get(self, _request: HttpRequest, /, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Show form and rows."""
        self.object = self.get_object()
        self.rows = self.get_rows()
        return self.render(form=self.get_form())

    def is_valid(self, form: ModelForm[M]) -> bool:
        """Both are checked, so that all faults show at once."""
        self.rows = self.get_rows(data=self.request.POST)
        return all([form.is_valid(), self.rows.is_valid()])

    def save_objects(self, form: ModelForm[M]) -> M:
        """Save the object, then its rows."""
        saved = super().save_objects(form)
        self.rows.instance = saved
        self.rows.save()
        return saved

    def audited(self, form: ModelForm[M], stored: M | None) -> dict[str, Any]:
        """Adds the rows as a list of texts."""
        state = super().audited(form, stored)
        if stored is not None and stored.pk:
            rows = getattr(stored, self.row_relation).order_by("pk")
            state[self.row_relation] = [self.describe_row(row) for row in rows]
        return state

    def describe_row(self, row: Any) -> str:
        """One row as the audit entry shows it."""
        names = self.row_form_class.base_fields
        return ", ".join(
            str(value) for value in (getattr(row, name) for name in names) if value not in (None, "")
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds the formset and its words."""
        words = {
            "rows_legend": self.rows_legend,
            "rows_help": self.rows_help,
            "row_add_label": self.row_add_label,
        }
        return super().get_context_data(formset=self.rows, **words, **kwargs)
