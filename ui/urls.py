"""URLs of the frame itself."""

from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

urlpatterns = [
    # Visitors choose their language before they sign in; a GET never changes anything.
    path("language/", login_not_required(require_POST(set_language)), name="set_language"),
]
