"""Generic pages: a list is a queryset, a table template and a few attributes (NetBox's idea).

Every page says who may use it (``may_use``) and starts from a queryset that holds only what this user may
see, so that a foreign object does not exist (404) and a missing role is refused (403).
"""

from ui.views.base import PageMixin
from ui.views.confirm import ConfirmPage, DeletePage, RefusedError
from ui.views.filters import Choices, Option, Segments
from ui.views.form import FormPage
from ui.views.listing import ListPage
from ui.views.rows import FormWithRowsPage
from ui.views.sections import SectionPage

__all__ = [
    "Choices",
    "ConfirmPage",
    "DeletePage",
    "FormPage",
    "FormWithRowsPage",
    "ListPage",
    "Option",
    "PageMixin",
    "RefusedError",
    "SectionPage",
    "Segments",
]
