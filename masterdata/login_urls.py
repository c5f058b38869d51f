"""Signing in and out."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from masterdata.login_views import LoginPage, PasswordPage

urlpatterns = [
    path("login/", LoginPage.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", PasswordPage.as_view(), name="password_change"),
]
