"""A typing error in the environment is named, not guessed at."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.strict_env import StrictEnv


@pytest.fixture
def env(monkeypatch) -> StrictEnv:
    monkeypatch.setattr(StrictEnv, "ENVIRON", {})
    return StrictEnv()


@pytest.mark.parametrize(
    ("given", "meant"), [("true", True), ("ON", True), ("1", True), ("no", False), ("", False)]
)
def test_true_and_false_in_their_usual_spellings(env, given, meant):
    env.ENVIRON["HTTPS"] = given
    assert env.bool("HTTPS", default=not meant) is meant


def test_what_is_missing_has_its_default(env):
    assert env.bool("HTTPS", default=True) is True
    assert env.int("DRAIN_SECONDS", default=25) == 25
    assert env.list("ALLOWED_HOSTS", default=["localhost"]) == ["localhost"]


def test_w17_a_misspelt_true_does_not_turn_https_off(env):
    env.ENVIRON["HTTPS"] = "ture"
    with pytest.raises(ImproperlyConfigured, match=r"^HTTPS is neither true nor false\.$"):
        env.bool("HTTPS", default=True)


def test_t9_a_word_for_a_number_is_named_without_its_value(env):
    env.ENVIRON["DRAIN_SECONDS"] = "Kanari-4711"
    with pytest.raises(ImproperlyConfigured, match="DRAIN_SECONDS cannot be read") as caught:
        env.int("DRAIN_SECONDS", default=25)
    assert "Kanari" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_t9_a_url_that_is_none_is_named_without_its_password(env):
    env.ENVIRON["CELERY_BROKER_URL"] = "redis://erp:Kanari[4711@redis:6379/0"
    with pytest.raises(ImproperlyConfigured, match=r"^CELERY_BROKER_URL .* a URL") as caught:
        env.url("CELERY_BROKER_URL")
    assert "Kanari" not in str(caught.value)
