"""URLs of the room."""

from django.urls import URLPattern

app_name = "mailaccounts"
urlpatterns: list[URLPattern] = []
