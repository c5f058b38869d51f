"""What every page shares: who may use it, its heading and its way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

Crumb = tuple["str | Promise", str]  # label and URL


class PageMixin(View):
    """A page of the frame. Subclasses say ``may_use`` and ``template_name``."""

    template_name: str = ""
    heading: str | Promise = ""
    subheading: str | Promise = ""

    def may_use(self, user: AbstractBaseUser | AnonymousUser) -> bool:  # noqa: ARG002  # for subclasses
        """Whether this user may open the page at all; required of every page."""
        raise ImproperlyConfigured(f"{type(self).__name__} must say who may use it (may_use)")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Refuse before anything is read: 302 to the login for visitors, 403 for a missing role."""
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not self.may_use(request.user):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    @property
    def user(self) -> User:
        """The signed-in user."""
        return cast("User", self.request.user)

    def get_heading(self) -> str | Promise:
        """The page's title."""
        return self.heading

    def get_subheading(self) -> str | Promise:
        """One line below the title."""
        return self.subheading

    def get_crumbs(self) -> list[Crumb]:
        """Pages above this one, outermost first; the page itself is added."""
        return []

    def get_next_url(self, otherwise: str) -> str:
        """Where the button was (``next``), if that is a page of ours; else ``otherwise``."""
        wanted = self.request.POST.get("next", "")
        return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else otherwise

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Context of the template; extend with ``super()``."""
        return {
            "view": self,
            "heading": self.get_heading(),
            "subheading": self.get_subheading(),
            "crumbs": self.get_crumbs(),
            **kwargs,
        }

    def render(self, *, status: int = 200, template: str = "", **context: Any) -> HttpResponse:
        """The page, or the part of it that ``template`` names."""
        name = template or self.template_name
        return TemplateResponse(self.request, name, self.get_context_data(**context), status=status)
