"""URLs of the room; the demo's mailboxes exist in the demo only."""

from django.conf import settings
from django.urls import path

from cockpit import views
from cockpit.alerts import views as alerts
from cockpit.demo import views as demo

app_name = "cockpit"
urlpatterns = [
    path("", views.start, name="start"),
    path("healthz", views.healthz, name="healthz"),
    path("metrics", views.metrics, name="metrics"),
    path("alerts/", alerts.AlertList.as_view(), name="alerts"),
    path("alerts/<int:pk>/acknowledge/", alerts.Acknowledge.as_view(), name="acknowledge_alert"),
    path("confirm-copy/", views.confirm_copy, name="confirm_copy"),
]
if settings.DEMO_FOLDER:
    urlpatterns += [
        path("demo/mailboxes/", demo.mailboxes, name="demo_mailboxes"),
        path("demo/mailboxes/<str:address>/<str:folder>/", demo.mailbox, name="demo_mailbox"),
    ]
