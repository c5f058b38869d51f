"""URLs of the room."""

from django.urls import URLPattern

app_name = "outbound"
urlpatterns: list[URLPattern] = []
