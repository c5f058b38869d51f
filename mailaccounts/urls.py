"""URLs of the room."""

from django.urls import path

from mailaccounts import views, views_lifecycle, views_tests

app_name = "mailaccounts"
urlpatterns = [
    path("", views.AccountList.as_view(), name="list"),
    path("new/", views.AccountCreate.as_view(), name="create"),
    path("new/preset/", views.PresetFields.as_view(), name="preset_new"),
    path("new/test/", views_tests.StartImapTest.as_view(), name="test_new"),
    path("new/folders/", views_tests.StartFolderTest.as_view(), name="folders_new"),
    path("poll/", views_lifecycle.PollAll.as_view(), name="poll_all"),
    path("tests/<uuid:uuid>/", views_tests.ShowTest.as_view(), name="test"),
    path("<int:pk>/", views.AccountPage.as_view(), name="account"),
    path("<int:pk>/health/", views.HealthFragment.as_view(), name="health"),
    path("<int:pk>/preset/", views.PresetFields.as_view(), name="preset"),
    path("<int:pk>/test/", views_tests.StartImapTest.as_view(), name="test_imap"),
    path("<int:pk>/folders/", views_tests.StartFolderTest.as_view(), name="folders"),
    path("<int:pk>/test-mail/", views_tests.StartMailTest.as_view(), name="test_mail"),
    path("<int:pk>/hold/", views_lifecycle.HoldAccount.as_view(), name="hold"),
    path("<int:pk>/resume/", views_lifecycle.ResumeAccount.as_view(), name="resume"),
    path("<int:pk>/retire/", views_lifecycle.RetireAccount.as_view(), name="retire"),
    path("<int:pk>/reactivate/", views_lifecycle.ReactivateAccount.as_view(), name="reactivate"),
    path("<int:pk>/delete/", views_lifecycle.DeleteAccount.as_view(), name="delete"),
    path("<int:pk>/section/<slug:slug>/", views.AccountPage.as_view(), name="section"),
]
