"""URLs of the room."""

from django.urls import path

from inbound import views

app_name = "inbound"
urlpatterns = [
    path("quarantine/", views.QuarantineList.as_view(), name="quarantine"),
    path("quarantine/retry/", views.RetryAll.as_view(), name="retry_all"),
    path("quarantine/<int:pk>/retry/", views.Retry.as_view(), name="retry"),
    path("quarantine/<int:pk>/read-anyway/", views.ReadAnyway.as_view(), name="read_anyway"),
    path("quarantine/<int:pk>/discard/", views.Discard.as_view(), name="discard"),
    path("quarantine/<int:pk>/original/", views.Original.as_view(), name="original"),
    path("accounts/<int:pk>/poll/", views.PollNow.as_view(), name="poll_now"),
    path("polls/<int:pk>/", views.PollResult.as_view(), name="poll_result"),
    path(
        "accounts/<int:pk>/autoresponder-preview/",
        views.AutoresponderPreview.as_view(),
        name="autoresponder_preview",
    ),
]
