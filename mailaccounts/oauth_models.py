"""Signing in by OAuth: our registration with a provider, an account's tokens, and consents being given."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class OAuthClient(models.Model):
    """This installation as it is registered with one provider, and how its token endpoint last answered."""

    class Provider(models.TextChoices):
        GOOGLE = "google", "Google"
        MICROSOFT = "microsoft", "Microsoft 365"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    provider = models.CharField(_("provider"), max_length=10, choices=Provider.choices, unique=True)
    client_id = models.CharField(_("client ID"), max_length=255)
    secret_encrypted = models.TextField(blank=True, editable=False)
    # The endpoint is away, busy, or refuses the registration: nobody's token is asked for until then.
    failures = models.PositiveIntegerField(default=0, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)
    error_code = models.CharField(max_length=60, blank=True, editable=False)
    error_detail = models.CharField(max_length=500, blank=True, editable=False)

    class Meta:
        verbose_name = _("OAuth client")

    def __str__(self) -> str:
        return self.get_provider_display()


class OAuthToken(models.Model):
    """What an account's owner consented to; a consent given anew replaces the row's contents."""

    class State(models.TextChoices):
        ACTIVE = "active", _("connected")
        RECONNECT = "reconnect", _("must be connected anew")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    account = models.OneToOneField(
        "mailaccounts.MailAccount", on_delete=models.CASCADE, related_name="oauth_token"
    )
    provider = models.CharField(max_length=10, choices=OAuthClient.Provider.choices)
    identity = models.EmailField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE)
    refresh_token_encrypted = models.TextField(editable=False)
    access_token_encrypted = models.TextField(editable=False)
    expires_at = models.DateTimeField()
    refreshed_at = models.DateTimeField()
    # Names the consent: whoever refreshes under an earlier one writes nothing.
    consented_at = models.DateTimeField()
    # When the consent itself ends, where the provider says so (a Google client "in testing": seven days).
    consent_ends_at = models.DateTimeField(null=True)
    # Since when refreshing has failed; the last access token may still be good.
    failing_since = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=60, blank=True)

    class Meta:
        verbose_name = _("OAuth token")

    def __str__(self) -> str:
        return f"{self.provider} {self.identity}"


class OAuthAuthorisation(models.Model):
    """A consent that somebody was sent away to give: good once, for ten minutes, in the same session.

    Held as digests, so that whoever reads the table can complete none of them.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    account = models.ForeignKey("mailaccounts.MailAccount", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(max_length=10, choices=OAuthClient.Provider.choices)
    state_digest = models.CharField(max_length=64, unique=True)
    session_digest = models.CharField(max_length=64)
    code_verifier_encrypted = models.TextField()
    redirect_uri = models.CharField(max_length=500)
    started_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.provider} {self.account_id}"
