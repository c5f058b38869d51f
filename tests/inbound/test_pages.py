"""Pages of the quarantine, "poll now" and the autoresponder's tab."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from archive.services import store_raw
from audit.models import AuditEntry
from inbound import tasks
from inbound.models import AutoresponderOptions, IncomingMessage, Mailbox, PollRun
from jobs import leases
from mailaccounts.models import ImapSettings, MailAccount
from tests.inbound.conftest import State, mail

PLAIN = "text/plain; charset=utf-8"


@pytest.fixture
def admin(client, mail_administrator):
    """A browser signed in as mail administrator."""
    client.force_login(mail_administrator)
    return client


@pytest.fixture
def account(db):
    """An account nobody polls."""
    account = MailAccount.objects.create(display_name="Einkauf", email="einkauf@firma.example")
    ImapSettings.objects.create(account=account, host="mx.firma.example", username="einkauf")
    return account


@pytest.fixture
def quarantine_row(account):
    """Make rows in quarantine."""
    mailbox = Mailbox.objects.create(account=account, name="INBOX", uid_validity=1)

    def make(subject: str = "Preisliste", *, reason: str = "too-deep", has_raw: bool = True, **values):
        uid = IncomingMessage.objects.count() + 1
        raw = next(iter(store_raw([b"Subject: x\r\n\r\n%d" % uid]).values())) if has_raw else None
        Mailbox.objects.filter(pk=mailbox.pk).update(server_messages=uid)
        row = {
            "uid_validity": 1, "uid": uid, "internal_date": timezone.now(), "size": 4_100_000, "raw": raw,
            "state": State.QUARANTINED, "reason": reason, "subject": subject,
            "quarantined_at": timezone.now(),
            "from_address": "vertrieb@lager.example",
        }  # fmt: skip
        return IncomingMessage.objects.create(account=account, mailbox=mailbox, **(row | values))

    return make


def test_the_list_shows_reason_cause_remedy_and_a_balance_that_adds_up(admin, quarantine_row):
    quarantine_row()
    page = admin.get(reverse("inbound:quarantine")).content.decode()
    assert "Preisliste" in page
    assert "zu tief verschachtelt" in page.lower()
    assert "Ursache:" in page
    assert "Abhilfe:" in page
    assert "geht auf" in page


def test_a_balance_that_differs_says_so(admin, quarantine_row):
    quarantine_row()
    Mailbox.objects.update(server_messages=9)
    assert "geht auf" not in admin.get(reverse("inbound:quarantine")).content.decode()


def test_b49_b84_what_a_mail_says_is_escaped(admin, quarantine_row):
    hostile = '"><img src=x onerror=alert(1)>'
    quarantine_row(hostile, from_address=hostile, detail=f"Traceback {hostile}", reason="import-failed")
    page = admin.get(reverse("inbound:quarantine")).content.decode()
    assert hostile not in page
    assert "&lt;img src=x" in page


def test_the_list_costs_the_same_however_long_it_is(admin, quarantine_row, django_assert_max_num_queries):
    quarantine_row()
    with django_assert_max_num_queries(40) as few:
        admin.get(reverse("inbound:quarantine"))
    for number in range(20):
        quarantine_row(f"Nummer {number}")
    with django_assert_max_num_queries(len(few)):
        admin.get(reverse("inbound:quarantine"))


def test_segments_and_search(admin, quarantine_row):
    quarantine_row("Offen")
    quarantine_row("Erledigt", state=State.IMPORTED)
    quarantine_row("Verworfen", discarded_at=timezone.now(), discard_reason="Werbung")
    url = reverse("inbound:quarantine")

    def shown(query: str) -> list[str]:
        rows = admin.get(f"{url}{query}").context["rows"]
        return [row.subject for row in rows]

    assert shown("") == ["Offen"]
    assert shown("?state=solved") == ["Erledigt"]
    assert shown("?state=discarded") == ["Verworfen"]
    assert shown("?q=fehlt") == []


def test_retry_from_the_list(admin, quarantine_row):
    row = quarantine_row()
    assert admin.post(reverse("inbound:retry", args=[row.pk])).status_code == 302
    row.refresh_from_db()
    assert row.state == State.STORED


def test_retry_of_what_is_settled_meanwhile_says_so(admin, quarantine_row):
    row = quarantine_row(state=State.IMPORTED)
    answer = admin.post(reverse("inbound:retry", args=[row.pk]))
    assert answer.status_code == 422
    assert "nicht mehr in Quarantäne" in answer.content.decode()


def test_retry_all_leaves_what_is_too_large(admin, quarantine_row, settings):
    settings.MAIL_MAX_MESSAGE_BYTES = 1_000_000
    fine, large = quarantine_row(), quarantine_row(reason="left-on-server", has_raw=False)
    admin.post(reverse("inbound:retry_all"))
    fine.refresh_from_db()
    large.refresh_from_db()
    assert (fine.state, large.state) == (State.STORED, State.QUARANTINED)


def test_discarding_needs_a_reason(admin, quarantine_row):
    row = quarantine_row()
    url = reverse("inbound:discard", args=[row.pk])
    assert admin.post(url, {"reason": " "}).status_code == 422
    assert admin.post(url, {"reason": "Werbung"}).status_code == 302
    row.refresh_from_db()
    assert row.discard_reason == "Werbung"


def test_w13_the_original_is_downloaded_never_shown_and_only_with_a_recorded_reason(admin, quarantine_row):
    row = quarantine_row()
    url = reverse("inbound:original", args=[row.pk])
    assert "octet-stream" not in admin.get(url)["Content-Type"]
    assert admin.post(url, {"reason": ""}).status_code == 422
    assert not AuditEntry.objects.filter(action="quarantine.original_read").exists()
    answer = admin.post(url, {"reason": "Kundin rief an"})
    assert answer.content == row.raw.content_bytes
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert AuditEntry.objects.get(action="quarantine.original_read").reason == "Kundin rief an"


@pytest.mark.parametrize("role", ["agent", "staff", "auditor"])
def test_w1_only_mail_administrators(client, make_user, quarantine_row, role):
    row, user = quarantine_row(), make_user(role)
    assert not IncomingMessage.objects.visible_to(user).exists()
    client.force_login(user)
    assert client.get(reverse("inbound:quarantine")).status_code == 403
    assert client.post(reverse("inbound:retry", args=[row.pk])).status_code == 403
    assert client.post(reverse("inbound:original", args=[row.pk]), {"reason": "neugierig"}).status_code == 403


def test_poll_now_shows_its_result(admin, station):
    station.deliver(mail("Eins"))
    answer = admin.post(reverse("inbound:poll_now", args=[station.account.pk]))
    run = PollRun.objects.get()
    assert answer["Location"] == reverse("inbound:poll_result", args=[run.pk])
    waiting = admin.get(answer["Location"]).content.decode()
    assert 'hx-trigger="every 1s"' in waiting
    tasks.poll_now(run.pk)
    done = admin.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    assert "hx-trigger" not in done
    run.refresh_from_db()
    assert run.report["imported"] == 1


def test_poll_now_is_idempotent(station):
    station.deliver(mail("Eins"))
    run = PollRun.objects.create(account=station.account)
    tasks.poll_now(run.pk)
    first = PollRun.objects.get().finished_at
    tasks.poll_now(run.pk)
    assert PollRun.objects.get().finished_at == first


def test_poll_now_tells_why_it_stopped(admin, station):
    held = leases.acquire(station.account.lease_name, ttl=timedelta(minutes=1))
    run = PollRun.objects.create(account=station.account)
    tasks.poll_now(run.pk)
    assert (
        "wird bereits abgerufen" in admin.get(reverse("inbound:poll_result", args=[run.pk])).content.decode()
    )
    leases.release(held)


def test_b87_the_servers_words_are_escaped(admin, account):
    run = PollRun.objects.create(
        account=account,
        finished_at=timezone.now(),
        error_code="authentication_failed",
        error_detail="<b>NO</b>",
    )
    page = admin.get(reverse("inbound:poll_result", args=[run.pk])).content.decode()
    assert "<b>NO</b>" not in page


def test_poll_now_of_a_retired_account_does_not_exist(admin, account):
    account.retired_at = timezone.now()
    account.save()
    assert admin.post(reverse("inbound:poll_now", args=[account.pk])).status_code == 404


def _section(account) -> str:
    return reverse("mailaccounts:section", args=[account.pk, "autoresponder"])


def test_the_autoresponder_tab_saves_and_remembers_since_when(admin, account):
    before = timezone.now()
    data = {
        "is_enabled": "on",
        "once_a_day": "on",
        "subject": "Ihre Anfrage {TICKET}",
        "html": "<p>Hallo {BETREFF}</p>",
    }
    assert admin.post(_section(account), data).status_code == 302
    options = AutoresponderOptions.objects.get(account=account)
    assert options.enabled_at >= before
    enabled_at = options.enabled_at
    admin.post(_section(account), data | {"subject": "Anders {TICKET}"})
    options.refresh_from_db()
    assert (options.subject, options.enabled_at) == ("Anders {TICKET}", enabled_at)
    admin.post(_section(account), {"subject": "x", "html": "y"})
    options.refresh_from_db()
    assert (options.is_enabled, options.enabled_at) == (False, None)


def test_the_text_is_sanitised_when_saved(admin, account):
    data = {
        "is_enabled": "on",
        "subject": "Betreff",
        "html": '<p onclick="x">Hallo<script>alert(1)</script></p>',
    }
    admin.post(_section(account), data)
    assert AutoresponderOptions.objects.get().html == "<p>Hallo</p>"


@pytest.mark.parametrize("missing", [{"subject": ""}, {"html": ""}, {"html": "<p> </p>"}])
def test_switched_on_it_needs_subject_and_text(admin, account, missing):
    data = {"is_enabled": "on", "subject": "Betreff", "html": "<p>Hallo</p>"} | missing
    assert admin.post(_section(account), data).status_code == 422


def test_w2_posting_other_fields_changes_nothing_else(admin, account):
    names = {field.name: "1" for field in AutoresponderOptions._meta.concrete_fields}
    names |= {"enabled_at": "2001-01-01 00:00", "account": "999", "account_id": "999"}
    data = names | {"is_enabled": "on", "subject": "Betreff", "html": "<p>Hallo</p>"}
    assert admin.post(_section(account), data).status_code == 302
    options = AutoresponderOptions.objects.get()
    assert options.account == account
    assert options.enabled_at > timezone.now() - timedelta(minutes=1)


def test_saving_fences_off_a_running_poll_and_is_recorded(admin, account):
    held = leases.acquire(account.lease_name, ttl=timedelta(minutes=1))
    admin.post(_section(account), {"is_enabled": "on", "subject": "Betreff", "html": "<p>Hallo</p>"})
    with pytest.raises(leases.LeaseLost):
        leases.renew(held)
    assert AuditEntry.objects.filter(action="section.autoresponder").exists()


def test_the_preview_shows_sample_values_and_no_script(admin, account):
    url = reverse("inbound:autoresponder_preview", args=[account.pk])
    data = {"subject": "Zu {BETREFF} {TICKET}", "html": "<p>{TICKET}</p><script>alert(1)</script>"}
    page = admin.post(url, data).content.decode()
    assert "20261124-00042" in page
    assert "<script" not in page


def test_the_navigation_counts_what_is_open(admin, quarantine_row):
    quarantine_row()
    page = admin.get(reverse("inbound:quarantine")).content.decode()
    assert reverse("inbound:quarantine") in page
    assert "Quarantäne" in page


def test_a_poll_nobody_works_on_says_so_and_stops_asking(admin, account):
    run = PollRun.objects.create(account=account)
    PollRun.objects.update(requested_at=timezone.now() - timedelta(minutes=4))
    page = admin.get(reverse("inbound:poll_result", args=[run.pk])).content.decode()
    assert "hx-trigger" not in page.split('id="poll-result"')[1].split(">")[0]
    assert "Hintergrunddienst" in page
