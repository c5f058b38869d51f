"""What the start page and the list of alerts show, to whom, and the button that stops reminders."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEntry
from cockpit.alerts.wording import path_of
from cockpit.models import Alert
from inbound.models import IncomingMessage
from jobs.models import Heartbeat
from mailaccounts.models import MailAccount
from outbound.models import OutgoingMessage
from tests.cockpit.conftest import make_account, minutes, outgoing, own, quarantined, recover, trouble

pytestmark = pytest.mark.django_db


@pytest.fixture
def carrier(firm) -> MailAccount:
    return make_account("zentrale@firma.example", is_standard=True)


@pytest.fixture
def paused(carrier) -> MailAccount:
    account = make_account("info@firma.example", display_name="Infopost")
    trouble(account, code="authentication_failed", age=minutes(10), paused=True)
    return account


@pytest.fixture
def page(client, mail_administrator):
    """A page as the administrator sees it, or another user: ``page("/alerts/", user=…)``."""

    def get(url: str = "/", *, user=mail_administrator, **headers) -> str:
        client.force_login(user)
        response = client.get(url, headers=headers)
        assert response.status_code == 200
        return response.content.decode()

    return get


def test_the_start_page_tells_what_holds_why_and_what_to_do(look, paused, page, mail_administrator):
    look(0)
    html = page()
    for words in (
        "Warnungen", "Infopost", "Der Abruf ruht, bis die Einstellungen berichtigt sind", "Passwort",
        "wartet auf den Versand", paused.get_absolute_url(), "Beheben", "Gesehen",
    ):  # fmt: skip
        assert words in html
    OutgoingMessage.objects.update(state="sent")
    assert f"an {mail_administrator.email}." in page()


def test_it_speaks_english(look, paused, page):
    look(0)
    html = page(**{"Accept-Language": "en"})
    assert "Alerts" in html
    assert "Polling is paused until the settings are put right" in html


def test_a_failure_too_young_for_an_alert_is_shown_quietly(look, carrier, page):
    trouble(make_account("info@firma.example", display_name="Infopost"), age=minutes(3))
    look(0)
    assert "dauert es an, folgt eine Warnung" in page()
    assert "Infopost" not in page(reverse("cockpit:alerts"))


def test_all_clears_of_the_last_day_are_folded(look, paused, page):
    look(0)
    recover(paused)
    look(1, 3)
    assert "1 Entwarnung in den letzten 24 Stunden" in page()
    Alert.objects.update(closed_at=timezone.now() - timedelta(hours=25))
    assert "Entwarnung" not in page()


def test_it_says_when_nobody_could_be_told(look, paused, carrier, page):
    carrier.smtp.is_enabled = False
    carrier.smtp.save()
    look(0)
    assert "Konnte nicht gemailt werden: Kein anderes Konto kann senden." in page()


def test_it_says_when_the_mail_came_to_nothing(look, paused, page):
    look(0)
    OutgoingMessage.objects.update(state="failed")
    assert "Konnte nicht zugestellt werden an " in page()


def test_it_names_who_was_told_the_first_of_many(look, paused, page, settings, mail_administrator):
    settings.ALERT_RECIPIENTS = ["pikett@firma.example"]
    look(0)
    assert f"an {mail_administrator.email}, pikett@firma.example wartet auf den Versand" in page()
    Alert.objects.update(notified_at=None)
    settings.ALERT_RECIPIENTS = ["pikett@firma.example", "nacht@firma.example"]
    look(1)
    assert f"an {mail_administrator.email} und 2 weitere wartet auf den Versand" in page()


def test_a_mail_that_somebody_cancelled_told_nobody(look, paused, page):
    look(0)
    assert "wartet auf den Versand" in page()
    OutgoingMessage.objects.update(state="cancelled")
    assert "wartet auf den Versand" not in page()


def test_the_start_page_says_how_many_more_there_are(look, carrier, page):
    for number in range(22):
        trouble(make_account(f"a{number}@firma.example"), age=minutes(10), paused=True)
    look(0)
    assert "2 weitere" in page()


@pytest.mark.parametrize(
    ("name", "age", "words"),
    [
        ("worker", 46, "Die Hintergrundarbeit steht still"),
        ("alerts", 301, "Niemand sucht nach Störungen"),
    ],
)
def test_silence_of_the_workers_is_seen_by_the_web_process(firm, page, name, age, words, make_user):
    assert words not in page()
    Heartbeat.objects.create(name=name, at=timezone.now() - timedelta(seconds=age))
    assert words in page()
    assert words not in page(user=make_user("agent"))
    Heartbeat.objects.update(at=timezone.now() - timedelta(seconds=age - 10))
    assert words not in page()


def test_owners_see_alerts_of_their_own_account_only(look, paused, page, client, make_user):
    jana = make_user("staff", username="jana")
    mine = make_account("jana@firma.example", display_name="Janas Post")
    own(mine, jana)
    trouble(mine, age=minutes(10), paused=True)
    look(0)
    texts = [page("/", user=jana), page(reverse("cockpit:alerts"), user=jana)]
    texts.append(b"".join(client.get(f"{reverse('cockpit:alerts')}?format=csv").streaming_content).decode())
    for text in texts:
        assert "Janas Post" in text
        assert "Infopost" not in text


def test_owners_do_not_see_what_only_administrators_can_settle(look, carrier, page, make_user):
    jana = make_user("staff", username="jana")
    mine = make_account("jana@firma.example", display_name="Janas Post")
    own(mine, jana)
    now = timezone.now()
    Alert.objects.create(
        kind="quarantine",
        account=mine,
        severity=2,
        since=now,
        first_seen_at=now,
        last_seen_at=now,
        opened_at=now,
    )
    assert "Janas Post" not in page(reverse("cockpit:alerts"), user=jana)
    assert "Janas Post" in page(reverse("cockpit:alerts"))


def test_those_whom_no_alert_concerns_have_no_block(look, paused, page, make_user):
    look(0)
    assert "Warnungen" not in page(user=make_user("agent"))


def test_the_list_filters_what_holds_and_what_is_over(look, paused, page):
    look(0)
    recover(paused)
    look(1, 3)
    other = make_account("shop@firma.example", display_name="Shop")
    trouble(other, age=minutes(1), paused=True)
    look(4)
    url = reverse("cockpit:alerts")

    def named(query: str) -> set[str]:
        html = page(url + query, **{"HX-Request": "true"})
        return {name for name in ("Infopost", "Shop") if name in html}

    assert named("") == {"Shop"}
    assert named("?state=over") == {"Infopost"}
    assert named("?state=all") == {"Infopost", "Shop"}
    assert named(f"?state=all&account={other.pk}") == {"Shop"}


@pytest.mark.parametrize("kind", ["undelivered", "unsettled", "quarantine"])
def test_an_alert_leads_to_the_list_of_what_it_is_about(carrier, page, kind):
    outgoing(carrier, subject="undelivered")
    outgoing(carrier, subject="unsettled", state="failed")
    quarantined(carrier, age=minutes(70))
    IncomingMessage.objects.update(subject="quarantine")
    shown = page(path_of(Alert(kind=kind, account=carrier)), **{"HX-Request": "true"})
    assert [subject in shown for subject in ("undelivered", "unsettled", "quarantine")].count(True) == 1
    assert kind in shown


def test_what_is_only_being_observed_is_nowhere(look, carrier, page):
    trouble(make_account("info@firma.example", display_name="Infopost"), age=minutes(40))
    look(0)
    assert Alert.objects.count() == 1
    assert "Infopost" not in page(f"{reverse('cockpit:alerts')}?state=all")


def test_seen_is_recorded_once_and_leads_back(look, paused, client, mail_administrator):
    look(0)
    alert = Alert.objects.get()
    client.force_login(mail_administrator)
    url = reverse("cockpit:acknowledge_alert", args=[alert.pk])
    for _ in range(2):
        response = client.post(url, {"next": "/"})
        assert (response.status_code, response.url) == (302, "/")
    alert.refresh_from_db()
    assert alert.acknowledged_by == mail_administrator
    entry = AuditEntry.objects.get(action="alert.acknowledged")
    assert (entry.actor_id, entry.object_id) == (mail_administrator.pk, str(alert.pk))
    assert "Gesehen " in client.get("/").content.decode()
    assert client.post(url, {"next": "https://evil.example/"}).url == reverse("cockpit:alerts")


def test_t19_nobody_acknowledges_alerts_of_others(look, paused, client, make_user):
    jana = make_user("staff", username="jana")
    own(make_account("jana@firma.example"), jana)
    look(0)
    client.force_login(jana)
    assert client.post(reverse("cockpit:acknowledge_alert", args=[Alert.objects.get().pk])).status_code == 404
    assert Alert.objects.get().acknowledged_at is None


@pytest.mark.parametrize("url", ["/", "/alerts/"])
def test_pages_cost_the_same_with_few_and_many_alerts(look, paused, client, mail_administrator, url):
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        return len(captured)

    client.force_login(mail_administrator)
    look(0)
    few = cost()
    for number in range(8):
        trouble(make_account(f"a{number}@firma.example"), age=minutes(5), paused=True)
    look(1)
    assert cost() == few
