"""Who is told what by mail, through which account, and what the mail says."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from cockpit.alerts import mailing
from cockpit.models import Alert, AlertNotice
from cockpit.services import acknowledge
from cockpit.tasks import LEASE, send_alerts
from jobs import leases
from mailaccounts.models import MailAccount, SmtpSettings
from mailkit.errors import ConnectionFailed
from masterdata.models import Substitution
from outbound import throttling
from outbound.models import DeliveryThrottle, OutgoingMessage
from tests.cockpit.conftest import mails, make_account, minutes, open_alerts, outgoing, own, recover, trouble

pytestmark = pytest.mark.django_db

DAY = 24 * 60


@pytest.fixture
def central(firm) -> MailAccount:
    """The standard account, which carries alerts."""
    return make_account("zentrale@firma.example", is_standard=True)


@pytest.fixture
def info(central) -> MailAccount:
    """An account paused for a wrong password."""
    account = make_account("info@firma.example")
    trouble(account, code="authentication_failed", age=minutes(10), paused=True)
    return account


def told() -> list[str]:
    return [mail.to[0].address for mail in mails()]


def test_an_alert_is_mailed_once_through_another_account(look, info, central, mail_administrator):
    look(0, 1, 2)
    row = OutgoingMessage.objects.get()
    assert (row.account, row.from_address, row.purpose) == (central, central.email, "system")
    assert row.created_by is None
    assert told() == [mail_administrator.email]


def test_it_is_from_the_address_that_its_carrier_sends_from(look, info, central, mail_administrator):
    central.smtp.sender_address = "erp@firma.example"
    central.smtp.save()
    look(0)
    assert OutgoingMessage.objects.get().from_address == "erp@firma.example"


def test_it_is_marked_as_automatic_and_asks_for_no_answer(look, info, mail_administrator):
    look(0)
    headers = mails()[0].headers
    assert headers.get("Auto-Submitted") == "auto-generated"
    assert headers.get("X-Auto-Response-Suppress") == "All"


def test_the_mail_names_account_cause_remedy_and_link(look, info, mail_administrator, settings):
    settings.BASE_URL = "https://erp.firma.example/"
    look(0)
    mail = mails()[0]
    assert mail.subject == "[Brandis] 1 Postfach braucht Hilfe: info@firma.example"
    for words in (
        "Das braucht Hilfe:", "* Info <info@firma.example> – seit ", "Ursache: ", "Was zu tun ist: ",
        "Der Abruf ruht, bis die Einstellungen berichtigt sind", "imap.firma.example",
        f"https://erp.firma.example{info.get_absolute_url()}\n", "https://erp.firma.example/alerts/\n",
    ):  # fmt: skip
        assert words in mail.text


def test_without_a_base_url_it_says_where_to_look(look, info, mail_administrator, settings):
    settings.BASE_URL = ""
    look(0)
    assert "http" not in mails()[0].text
    assert "auf der Startseite" in mails()[0].text


def test_an_outage_of_a_provider_is_one_mail_with_one_cause(look, central, mail_administrator):
    for number in range(50):
        trouble(make_account(f"a{number:02}@firma.example"), age=minutes(31))
    look(0, 2)
    (mail,) = mails()
    assert mail.subject.startswith("[Brandis] 50 Postfächer brauchen Hilfe: a")
    assert mail.subject.endswith("und 47 weitere")
    assert mail.text.count("Ursache: ") == 1
    assert sum(line.startswith("* ") for line in mail.text.splitlines()) == 50
    assert AlertNotice.objects.count() == 50


def test_each_reader_gets_the_mail_in_their_language(look, info, make_user):
    english = make_user("mail_administrator", username="ann")
    own(make_account("ann@firma.example"), english, language="en")
    make_user("mail_administrator", username="bernd")
    look(0)
    subjects = {mail.to[0].address: mail.subject for mail in mails()}
    assert subjects["ann@erp.example"] == "[Brandis] 1 mailbox needs help: info@firma.example"
    assert subjects["bernd@erp.example"] == "[Brandis] 1 Postfach braucht Hilfe: info@firma.example"


def test_owners_hear_of_their_own_account_only(look, info, make_user):
    jana, karl = make_user("staff", username="jana"), make_user("staff", username="karl")
    mine, his = make_account("jana@firma.example"), make_account("karl@firma.example")
    own(mine, jana)
    own(his, karl)
    trouble(mine, age=minutes(5), paused=True)
    look(0)
    (mail,) = mails()
    assert mail.to[0].address == "jana@erp.example"
    assert mail.subject.endswith("1 Postfach braucht Hilfe: jana@firma.example")
    assert "info@firma.example" not in mail.text


def test_an_owner_who_may_not_sign_in_hears_nothing(look, info, make_user):
    jana, mine = make_user("staff", username="jana"), make_account("jana@firma.example")
    own(mine, jana)
    trouble(mine, age=minutes(5), paused=True)
    User.objects.filter(pk=jana.pk).update(is_active=False)
    look(0)
    assert mails() == []


def test_a_substitute_hears_of_the_account_while_it_lasts(look, info, make_user):
    jana, karl, lena = (make_user("staff", username=name) for name in ("jana", "karl", "lena"))
    mine, today, day = make_account("jana@firma.example"), timezone.localdate(), timedelta(days=1)
    absent = own(mine, jana)
    for user, starts_on, ends_on in ((karl, today, today + day), (lena, today - 9 * day, today - day)):
        substitute = own(make_account(f"{user.username}@firma.example"), user)
        Substitution.objects.create(
            employee=absent, substitute=substitute, starts_on=starts_on, ends_on=ends_on
        )
    trouble(mine, age=minutes(5), paused=True)
    look(0)
    assert sorted(told()) == ["jana@erp.example", "karl@erp.example"]


def test_configured_recipients_hear_of_everything_and_nobody_hears_twice(
    look, info, mail_administrator, settings
):
    settings.ALERT_RECIPIENTS = ["pikett@firma.example", mail_administrator.email.upper()]
    look(0)
    assert sorted(told()) == sorted([mail_administrator.email, "pikett@firma.example"])


def test_those_without_right_login_or_address_hear_nothing(look, info, make_user):
    make_user("staff", "agent", "auditor", username="jana")
    away = make_user("mail_administrator", username="away")
    away.is_active = False
    away.save()
    silent = make_user("mail_administrator", username="silent")
    silent.email = ""
    silent.save()
    look(0)
    assert mails() == []
    assert Alert.objects.get().mail_problem == Alert.MailProblem.NO_READER


def test_an_address_that_cannot_be_written_to_keeps_nobody_else_from_being_told(
    look, info, mail_administrator, settings
):
    settings.ALERT_RECIPIENTS = ["kein Postfach\r\nBcc: x@y.example"]
    look(0)
    assert told() == [mail_administrator.email]


def test_the_all_clear_follows_when_it_has_been_well_for_two_minutes(look, info, mail_administrator):
    look(0)
    recover(info)
    look(1, 2)
    assert len(mails()) == 1
    look(3, 4, 5)
    _alarm, over = mails()
    assert over.subject == "[Brandis] Entwarnung: info@firma.example"
    assert "Das ist vorbei:" in over.text
    assert "* Info <info@firma.example>: " in over.text


def test_what_was_never_mailed_needs_no_all_clear(look, info, central, mail_administrator):
    central.smtp.is_enabled = False
    central.smtp.save()
    look(0)
    recover(info)
    central.smtp.is_enabled = True
    central.smtp.save()
    look(1, 3)
    assert open_alerts() == []
    assert mails() == []


def test_an_all_clear_that_nobody_could_carry_for_a_day_is_left_out(look, info, central, mail_administrator):
    look(0)
    recover(info)
    SmtpSettings.objects.update(is_enabled=False)
    look(1, 3)
    SmtpSettings.objects.update(is_enabled=True)
    look(3 + DAY)
    assert len(mails()) == 1


def test_a_reminder_comes_after_a_day_unless_somebody_has_seen_it(look, info, mail_administrator):
    look(0, DAY - 1)
    assert len(mails()) == 1
    look(DAY, DAY + 1)
    assert [mail.subject for mail in mails()][1:] == [
        "[Brandis] Erinnerung: 1 Postfach braucht weiter Hilfe: info@firma.example"
    ]
    assert acknowledge(alert=Alert.objects.get(), by=mail_administrator)
    look(2 * DAY, 3 * DAY)
    assert len(mails()) == 2


def test_each_mail_is_kept_with_its_occasion(look, info, mail_administrator):
    look(0, DAY)
    recover(info)
    look(DAY + 1, DAY + 3)
    occasions = AlertNotice.objects.order_by("pk").values_list("occasion", flat=True)
    assert list(occasions) == ["opened", "reminder", "all_clear"]


def test_what_gets_worse_is_told_anew_and_no_longer_seen(look, central, mail_administrator):
    info = make_account("info@firma.example")
    trouble(info, age=minutes(40))
    look(0, 2)
    acknowledge(alert=Alert.objects.get(), by=mail_administrator)
    trouble(info, code="authentication_failed", age=minutes(40), paused=True)
    look(3, 4)
    assert [mail.subject for mail in mails()] == [
        "[Brandis] 1 Postfach braucht Hilfe: info@firma.example"
    ] * 2
    assert Alert.objects.get().acknowledged_at is None


def test_what_grows_is_no_longer_seen(look, central, mail_administrator):
    info = make_account("info@firma.example")
    outgoing(info, state="failed", finished_at=timezone.now())
    look(0, 5)
    acknowledge(alert=Alert.objects.get(), by=mail_administrator)
    look(6)
    assert Alert.objects.get().acknowledged_at is not None
    outgoing(info, state="failed", finished_at=timezone.now())
    look(7)
    assert Alert.objects.get().acknowledged_at is None
    assert len(mails()) == 1


def test_where_no_other_account_can_send_it_says_so_and_is_mailed_later(
    look, info, central, mail_administrator
):
    central.smtp.is_enabled = False
    central.smtp.save()
    look(0, 1)
    assert mails() == []
    assert Alert.objects.get().mail_problem == Alert.MailProblem.NO_CARRIER
    central.smtp.is_enabled = True
    central.smtp.save()
    look(2)
    assert told() == [mail_administrator.email]
    assert Alert.objects.get().mail_problem == ""


def test_personal_accounts_and_accounts_in_trouble_carry_no_alert(look, info, central, make_user):
    own(make_account("jana@firma.example"), make_user("staff"))
    central.delete()
    look(0)
    assert mailing.choose_carrier() is None
    healthy = make_account("shop@firma.example")
    assert mailing.choose_carrier() == healthy
    throttling.hold_off(healthy, ConnectionFailed("no"))
    assert mailing.choose_carrier() is None


def test_the_standard_account_is_preferred_then_the_main_address(firm):
    make_account("a@firma.example")
    main = make_account("zentrale@firma.example")
    assert mailing.choose_carrier() == main
    standard = make_account("post@firma.example", is_standard=True)
    assert mailing.choose_carrier() == standard
    trouble(standard, age=minutes(1))
    assert mailing.choose_carrier() == main


def test_a_mail_stuck_in_an_account_that_cannot_send_goes_through_another(
    look, info, central, mail_administrator
):
    look(0)
    stuck = OutgoingMessage.objects.get()
    throttling.hold_off(central, ConnectionFailed("no"))
    look(1)
    assert len(mails()) == 1, "nobody else can send, so it keeps waiting"
    shop = make_account("shop@firma.example")
    look(2, 3)
    stuck.refresh_from_db()
    assert stuck.state == "cancelled"
    (again,) = OutgoingMessage.objects.exclude(pk=stuck.pk)
    assert again.account == shop
    assert len(mails()) == 1


def test_an_all_clear_stuck_in_an_account_that_cannot_send_goes_through_another(
    look, info, central, mail_administrator
):
    look(0)
    OutgoingMessage.objects.update(state="sent")
    recover(info)
    look(1, 3)
    throttling.hold_off(central, ConnectionFailed("no"))
    look(4, 5)
    assert OutgoingMessage.objects.get(state="queued").account == info
    assert mails()[-1].subject == "[Brandis] Entwarnung: info@firma.example"


def test_a_mail_is_not_passed_on_to_an_account_that_failed_last_too(look, info, central, mail_administrator):
    look(0)
    shop = make_account("shop@firma.example")
    for account in (central, shop):
        throttling.hold_off(account, ConnectionFailed("no"))
    DeliveryThrottle.objects.filter(account=shop).update(retry_at=timezone.now() - minutes(1))
    assert mailing.choose_carrier() == shop
    look(0)
    assert OutgoingMessage.objects.get().state == "queued"


def test_a_mail_on_its_way_is_never_taken_back(look, info, central, mail_administrator):
    look(0)
    OutgoingMessage.objects.update(state="sending")
    throttling.hold_off(central, ConnectionFailed("no"))
    make_account("shop@firma.example")
    look(1)
    assert len(mails()) == 1


def test_an_undeliverable_alert_mail_alerts_nobody(look, info, central, mail_administrator):
    look(0)
    OutgoingMessage.objects.update(state="failed", finished_at=timezone.now())
    look(1, 10, 60)
    assert open_alerts() == [("polling", "info@firma.example")]
    assert len(mails()) == 1


def test_a_note_is_not_mailed(look, central, mail_administrator):
    info = make_account("info@firma.example")
    info.health.backlog = 5_000
    info.health.save()
    look(0, 60)
    assert open_alerts() == [("backlog", "info@firma.example")]
    assert mails() == []


def test_a_worker_that_lost_the_lease_writes_nothing(look, info, mail_administrator, monkeypatch):
    compose = mailing.compose

    def overslept(*args):
        leases.revoke([LEASE])
        return compose(*args)

    monkeypatch.setattr(mailing, "compose", overslept)
    look(0)
    assert mails() == []
    assert Alert.objects.get().notified_at is None


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_mail_once(info, mail_administrator):
    start = threading.Barrier(4)
    failures: list[Exception] = []

    def work() -> None:
        try:
            start.wait()
            for _ in range(3):
                send_alerts()
        except Exception as error:  # noqa: BLE001  # judged by the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert len(mails()) == 1
    assert Alert.objects.count() == 1
