"""Projects."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from masterdata import access
from masterdata.forms import ProjectForm
from masterdata.models import Project
from masterdata.views.settings import settings_crumb
from ui.csv_export import Column
from ui.views import DeletePage, FormPage, ListPage
from ui.views.base import Crumb


class ProjectList(access.ForMailAdministrators, ListPage):
    """All projects."""

    heading = gettext_lazy("Projects")
    queryset = Project.objects.all()
    table_template = "masterdata/_project_table.html"
    sorts = {"name": ("name", "pk"), "key": ("key",)}
    default_sort = "name"
    search_fields = ("name__icontains", "key__icontains", "preferred_sender__icontains")
    search_placeholder = gettext_lazy("Name, key or sender")
    csv_name = "projects"
    csv_columns = (
        Column(gettext_lazy("name"), "name"),
        Column(gettext_lazy("key"), "key"),
        Column(gettext_lazy("preferred sender address"), "preferred_sender"),
        Column(gettext_lazy("active"), "is_active"),
    )
    empty_icon = "folder"
    empty_title = gettext_lazy("No projects yet")
    empty_text = gettext_lazy("A project gathers tickets and knows the address its mails come from.")
    create_label = gettext_lazy("Add project")

    def get_create_url(self) -> str:
        """Everybody who sees the list may add."""
        return reverse("masterdata:project_create")

    def get_crumbs(self) -> list[Crumb]:
        """Below settings."""
        return [settings_crumb()]


class ProjectPage(access.ForMailAdministrators, FormPage[Project]):
    """One project."""

    form_class = ProjectForm
    queryset = Project.objects.all()
    create_heading = gettext_lazy("New project")

    def get_crumbs(self) -> list[Crumb]:
        """Below the list."""
        return [settings_crumb(), (_("Projects"), reverse("masterdata:project_list"))]

    def get_success_url(self) -> str:
        """The list: a project has no further pages."""
        return reverse("masterdata:project_list")

    def get_delete_url(self) -> str:
        """Asked for on a page of its own."""
        return reverse("masterdata:project_delete", args=[self.kwargs["pk"]])


class ProjectDeletePage(access.ForMailAdministrators, DeletePage[Project]):
    """Delete a project that nothing uses."""

    queryset = Project.objects.all()

    def get_crumbs(self) -> list[Crumb]:
        """Below the project."""
        return [
            (_("Projects"), reverse("masterdata:project_list")),
            (str(self.object), self.object.get_absolute_url()),
        ]

    def get_success_url(self) -> str:
        """The list."""
        return reverse("masterdata:project_list")
