"""URLs of the room."""

from django.urls import path

from outbound import views, views_actions

app_name = "outbound"
urlpatterns = [
    path("", views.OutboxList.as_view(), name="list"),
    path("bulk/", views_actions.Bulk.as_view(), name="bulk"),
    path("<int:pk>/", views.MessagePage.as_view(), name="message"),
    path("<int:pk>/raw/", views.RawDownload.as_view(), name="raw"),
    path("<int:pk>/cancel/", views_actions.Cancel.as_view(), name="cancel"),
    path("<int:pk>/try-now/", views_actions.TryNow.as_view(), name="try_now"),
    path("<int:pk>/send-again/", views_actions.SendAgain.as_view(), name="send_again"),
    path("<int:pk>/arrived/", views_actions.Arrived.as_view(), name="arrived"),
    path("<int:pk>/dismiss/", views_actions.Dismiss.as_view(), name="dismiss"),
    path("<int:pk>/copy-again/", views_actions.CopyAgain.as_view(), name="copy_again"),
]
