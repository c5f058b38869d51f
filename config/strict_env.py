"""Settings from the environment that say which of them is wrong, instead of guessing what was meant."""

from __future__ import annotations

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_FALSE = ("false", "off", "no", "n", "0", "")


class StrictEnv(environ.Env):  # type: ignore[misc]  # the library publishes no types
    """``environ.Env``, but ``HTTPS=ture`` is not taken for false; what is no number or URL is named."""

    def get_value(self, var: str, cast: Any = None, **options: Any) -> Any:
        given = self.ENVIRON.get(var)
        if cast is bool and given is not None and given.lower() not in (*self.BOOLEAN_TRUE_STRINGS, *_FALSE):
            raise ImproperlyConfigured(f"{var} is neither true nor false.")
        try:
            return super().get_value(var, cast, **options)
        except ValueError:
            # Without the value: it may be a secret in the wrong place, or hold one.
            meant = "a number" if cast in {int, float} else "a URL, with special characters as %5B"
            raise ImproperlyConfigured(f"{var} cannot be read: it should be {meant}.") from None
