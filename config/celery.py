"""The Celery application: the broker only wakes workers, the database is the truth."""

import os

from celery import Celery

from jobs import draining, task_log  # noqa: F401  # they connect to Celery's signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("erp_mail")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
