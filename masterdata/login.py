"""Signing in with an e-mail address or a user name."""

from django.contrib.auth.backends import ModelBackend


class EmailOrUsernameBackend(ModelBackend):
    """Accepts either as the login name."""
