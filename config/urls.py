"""Where each room lives."""

from django.urls import include, path

urlpatterns = [
    path("", include("ui.urls")),
    path("", include("masterdata.login_urls")),
    path("masterdata/", include("masterdata.urls")),
    path("accounts/", include("mailaccounts.urls")),
    path("outbox/", include("outbound.urls")),
    path("tickets/", include("tickets.urls")),
    path("incoming/", include("inbound.urls")),
    path("", include("cockpit.urls")),
]
