"""Settings, URLs and processes: what ties the rooms into one house."""

import django_stubs_ext

from config.celery import app as celery_app

django_stubs_ext.monkeypatch()

__all__ = ["celery_app"]
