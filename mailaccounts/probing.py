"""Running a connection test: live, step by step, changing nothing on the server but for the test mail."""

from __future__ import annotations

import dataclasses
import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import instance
from mailaccounts import connection_tests, connections
from mailaccounts.credentials import CredentialUnreadable
from mailaccounts.errors import AccountNotReady
from mailaccounts.models import ConnectionTest, MailAccount, SmtpSettings
from mailaccounts.steps import ACCEPTED, ARRIVED, COUNTS, FOLDERS, LOGIN, StepRecorder
from mailkit.addresses import Address
from mailkit.building import Draft, build_message
from mailkit.errors import MailboxUnavailable, MailError
from mailkit.imap import Folder, ImapSession
from mailkit.smtp import MailTransport
from ui import formatting

logger = logging.getLogger(__name__)

ARRIVAL_WAIT = timedelta(seconds=60)
_LOOK_EVERY_SECONDS = 1.0
_MOST_FOLDERS_COUNTED = 10


def run(test_uuid: str) -> None:
    """Run the test once; a second call, or one for a test that was forgotten, does nothing."""
    claimed = connection_tests.claim(test_uuid)
    if claimed is None:
        return
    test, parameters = claimed
    steps = StepRecorder(test)
    is_complete = False
    try:
        _run(test, parameters, steps)
        is_complete = True
    except (AccountNotReady, CredentialUnreadable) as error:
        steps.failed(error, step=LOGIN)
        is_complete = True
    except MailError as error:
        steps.failed(error)
        is_complete = True
    except instance.UnconfirmedCopy:
        steps.failed(MailError(code="unconfirmed_copy"))
        is_complete = True
    finally:
        # Whatever else went wrong goes on to the worker's log; the page must not wait for ever.
        if not is_complete:
            steps.failed(MailError(code="internal_error"))
        steps.finish()


def _run(test: ConnectionTest, parameters: dict[str, Any], steps: StepRecorder) -> None:
    if test.kind == ConnectionTest.Kind.SMTP:
        instance.require_original()
        _probe_smtp(test, steps)
    else:
        _probe_imap(test, parameters, steps)


# -- receiving ------------------------------------------------------------------------------------------


def _probe_imap(test: ConnectionTest, parameters: dict[str, Any], steps: StepRecorder) -> None:
    access = connection_tests.access_of(test, parameters)
    steps.know(host=access.endpoint.host, username=access.login.username)
    observed = dataclasses.replace(access.endpoint, on_stage=steps.reached)
    with ImapSession.open(observed, access.login) as session:
        steps.done(LOGIN)
        folders = [folder for folder in session.list_folders() if folder.is_selectable]
        _keep_folders(test, folders)
        steps.done(FOLDERS, count=formatting.number(len(folders)))
        if test.kind == ConnectionTest.Kind.IMAP:
            steps.done(COUNTS, counts=_counts(session, parameters["folders"] or ["INBOX"]))


def _keep_folders(test: ConnectionTest, folders: list[Folder]) -> None:
    rows = [{"name": folder.name, "special_use": folder.special_use or ""} for folder in folders]
    ConnectionTest.objects.filter(pk=test.pk).update(folders=rows)


def _counts(session: ImapSession, names: list[str]) -> str:
    """Messages in each folder by STATUS, which opens nothing."""
    counted = [(name, session.status(name).messages) for name in names[:_MOST_FOLDERS_COUNTED]]
    return ", ".join(f"{name}: {formatting.number(count)}" for name, count in counted)


# -- sending --------------------------------------------------------------------------------------------


def _probe_smtp(test: ConnectionTest, steps: StepRecorder) -> None:
    account = test.account
    if account is None:
        raise AccountNotReady(code="smtp_off")
    smtp = getattr(account, "smtp", None)
    if smtp is not None and smtp.is_enabled and smtp.transport == SmtpSettings.Transport.LOCAL:
        steps.know(host=settings.SENDMAIL_PATH)
        with connections.open_local(account) as transport:
            message_id = _send(test, account, transport, steps)
    else:
        message_id = _send_through_server(test, account, steps)
    if hasattr(account, "imap"):
        _await_arrival(account, message_id, steps)
    else:
        steps.leave_out(ARRIVED)


def _send_through_server(test: ConnectionTest, account: MailAccount, steps: StepRecorder) -> str:
    access = connections.smtp_access(account)
    steps.know(host=access.endpoint.host, username=access.login.username if access.login else "")
    observed = dataclasses.replace(access.endpoint, on_stage=steps.reached)
    with connections.SmtpAccess(observed, access.login).open() as session:
        if access.login:
            steps.done(LOGIN)
        return _send(test, account, session, steps)


def _send(test: ConnectionTest, account: MailAccount, transport: MailTransport, steps: StepRecorder) -> str:
    smtp: SmtpSettings = account.smtp
    sender = smtp.sender_address or account.email
    built = build_message(
        Draft(
            from_=Address(smtp.sender_name or account.display_name, sender),
            to=[Address(account.display_name, account.email)],
            subject=_("Test mail of %(account)s") % {"account": account.display_name},
            text=_("This test mail shows that sending works. It can be deleted."),
            date=timezone.now(),
            message_id_domain=connections.ehlo_name(account),
            headers={"Auto-Submitted": "auto-generated"},
        )
    )
    # Known before it is sent: a poll that finds it first must recognise it.
    ConnectionTest.objects.filter(pk=test.pk).update(message_id=built.message_id)
    transport.send(sender, [account.email], built.raw, before_dot=_nothing_to_record)
    steps.done(ACCEPTED, address=account.email)
    return built.message_id


def _nothing_to_record() -> None:
    """A test mail has no outbox row whose state could depend on the final dot."""


def _await_arrival(account: MailAccount, message_id: str, steps: StepRecorder) -> None:
    """Look for the test mail in INBOX and Junk until it shows up, for a minute at most."""
    steps.know(host=account.imap.host)
    try:
        with connections.open_imap(account) as session:
            folder = _wait_for(session, message_id)
    except MailError as error:
        steps.failed(error, step=ARRIVED)
        return
    if folder:
        steps.done(ARRIVED, folder=folder)
    else:
        steps.failed(MailError(code="test_mail_not_arrived"), step=ARRIVED)


def _wait_for(session: ImapSession, message_id: str) -> str:
    junk = [folder.name for folder in session.list_folders() if folder.special_use == "junk"]
    deadline = time.monotonic() + ARRIVAL_WAIT.total_seconds()
    while True:
        for name in ["INBOX", *junk]:
            if _is_there(session, name, message_id):
                return name
        if time.monotonic() >= deadline:
            return ""
        time.sleep(_LOOK_EVERY_SECONDS)


def _is_there(session: ImapSession, folder: str, message_id: str) -> bool:
    try:
        session.examine(folder)
    except MailboxUnavailable:
        return False
    return bool(session.find_by_message_id(message_id))
