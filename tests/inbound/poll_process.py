"""Run as a process of its own: ``poll_once`` on the test database, to be killed at a failpoint."""

import os

import django
from django.conf import settings
from django.core.management import call_command

if __name__ == "__main__":
    settings.DATABASES["default"]["NAME"] = os.environ["POLL_DATABASE"]
    django.setup()
    call_command("poll_once")
