"""The record of changes: read only, newest first."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from audit.models import AuditEntry
from masterdata import access, selectors
from masterdata.views.settings import settings_crumb
from ui.csv_export import Column
from ui.views import Choices, ListPage
from ui.views.base import Crumb


def _object_types(request: HttpRequest) -> list[tuple[str, str]]:
    types = (
        selectors.audit_entries_for(request.user)
        .order_by("object_type")
        .values_list("object_type", flat=True)
    )
    return [(name, selectors.model_label(name)) for name in types.distinct() if name]


def _actors(request: HttpRequest) -> list[tuple[str, str]]:
    labels = (
        selectors.audit_entries_for(request.user)
        .order_by("actor_label")
        .values_list("actor_label", flat=True)
    )
    return [(label, label) for label in labels.distinct()]


class AuditPage(access.ForAuditReaders, ListPage):
    """Who changed what, when and from where."""

    heading = gettext_lazy("Record of changes")
    subheading = gettext_lazy(
        "Every change to settings and every recorded view; entries are never changed or deleted."
    )
    table_template = "masterdata/_audit_table.html"
    sorts = {"time": ("id",)}
    default_sort = "-time"
    search_placeholder = gettext_lazy("Object or action")
    filters = (
        Choices(
            "object",
            gettext_lazy("Kind of object"),
            gettext_lazy("All objects"),
            _object_types,
            "object_type",
        ),
        Choices("actor", gettext_lazy("By whom"), gettext_lazy("By anybody"), _actors, "actor_label"),
    )
    csv_name = "changes"
    csv_columns = (
        Column(gettext_lazy("Time"), "at"),
        Column(gettext_lazy("By whom"), "actor_label"),
        Column(gettext_lazy("From"), "ip"),
        Column(gettext_lazy("Action"), "action"),
        Column(gettext_lazy("Kind of object"), "object_type"),
        Column(gettext_lazy("Object"), "object_label"),
        Column(gettext_lazy("Changes"), "changes"),
        Column(gettext_lazy("Reason"), "reason"),
    )
    empty_icon = "clock"
    empty_title = gettext_lazy("No changes yet")

    def get_queryset(self) -> QuerySet[AuditEntry]:
        """Entries this user may read; one object's when the URL names it (``?id=`` beside ``?object=``)."""
        entries = selectors.audit_entries_for(self.user)
        object_id = self.request.GET.get("id", "")
        return entries.filter(object_id=object_id[:64].replace("\0", "")) if object_id else entries

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Text in the object's name or the action."""
        return queryset.filter(Q(object_label__icontains=text) | Q(action__icontains=text))

    def get_crumbs(self) -> list[Crumb]:
        """Below settings."""
        return [settings_crumb()]
