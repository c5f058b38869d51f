"""Run as a process of its own: a Celery worker with beat, on the test database and a broker of the test's.

Says what each poll came to: ``poll: already_polling``.
"""

import os
import sys

import django
from django.conf import settings

from tests.server_redis import BEAT_SECONDS

if __name__ == "__main__":
    settings.DATABASES["default"]["NAME"] = os.environ["WORKER_DATABASE"]
    settings.MAIL_TIMEOUT_SECONDS = 50  # a gate may keep a poll waiting
    django.setup()

    from config.celery import app
    from inbound import polling

    poll = polling.poll

    def poll_and_tell(account_id: int) -> polling.PollReport:
        report = poll(account_id)
        sys.stderr.write(f"poll: {report.error or 'ok'}\n")
        return report

    polling.poll = poll_and_tell
    app.conf.beat_schedule = {
        name: entry | {"schedule": BEAT_SECONDS, "options": {"expires": BEAT_SECONDS}}
        for name, entry in app.conf.beat_schedule.items()
        if entry["task"] == "inbound.check_accounts"
    }
    app.worker_main(["worker", "--loglevel=WARNING", "--without-mingle", "--without-gossip", *sys.argv[1:]])
