"""The section Ticketsystem of an account: what it saves and what it asks first (product §4, W2)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from mailaccounts.models import MailAccount
from tickets import backlog as seam
from tickets.account_sections import account_sections
from tickets.models import Queue, TicketOptions
from tickets.numbering import berlin_today
from tickets.options_form import TicketOptionsForm
from ui.sections import save_section

PASSWORD = "test-password-123"


class Ledger:
    """What inbound would answer."""

    excluded = 0
    deletable = 0

    def __init__(self) -> None:
        self.asked: list[date | None] = []
        self.reopened: list[date | None] = []

    def count_excluded(self, account: MailAccount, from_date: date | None) -> int:
        self.asked.append(from_date)
        return self.excluded

    def reopen(self, account: MailAccount, from_date: date | None) -> int:
        self.reopened.append(from_date)
        return self.excluded

    def count_deletable(self, account: MailAccount) -> int:
        return self.deletable


@pytest.fixture
def ledger(monkeypatch) -> Ledger:
    ledger = Ledger()
    for name in ("count_excluded", "reopen", "count_deletable"):
        monkeypatch.setattr(seam.backlog, name, getattr(ledger, name))
    return ledger


@pytest.fixture
def bare(db) -> MailAccount:
    return MailAccount.objects.create(display_name="Info", email="info@brandis.example")


@pytest.fixture
def section():
    return account_sections.find("tickets")


@pytest.fixture
def submit(bare, queue, mail_administrator):
    """A bound form for ``bare``: ``submit(is_enabled="on", …)``."""

    def bind(**data) -> TicketOptionsForm:
        values = {"is_enabled": "on", "default_queue": queue.pk, "from_date": f"{berlin_today()}"} | data
        return TicketOptionsForm(
            owner=bare, user=mail_administrator, data={k: v for k, v in values.items() if v}
        )

    return bind


def save(form: TicketOptionsForm) -> TicketOptions:
    assert form.is_valid(), form.errors
    return form.save()


def test_a_new_account_starts_today_and_answers_from_its_own_address(bare, mail_administrator, ledger):
    form = TicketOptionsForm(owner=bare, user=mail_administrator)
    assert form.initial["from_date"] == berlin_today()
    assert form.initial["is_enabled"] is False
    assert form.initial["answers_from_own_address"] is True
    assert not [name for name in form.fields if name.startswith("confirm")]


def test_what_is_entered_is_saved(submit, bare, queue, ledger):
    saved = save(
        submit(
            closes_on_import="on", contact_form_senders="Form@Shop.example\n\nform@shop.example\nb@x.example"
        )
    )
    assert (saved.account, saved.is_enabled, saved.default_queue) == (bare, True, queue)
    assert (saved.closes_on_import, saved.answers_from_own_address, saved.deletes_on_server) == (
        True,
        False,
        False,
    )
    assert saved.contact_form_senders.splitlines() == ["form@shop.example", "b@x.example"]
    assert saved.delete_imported_after is None


def test_new_tickets_need_a_queue(submit, ledger):
    assert "default_queue" in submit(default_queue="").errors


def test_an_inactive_queue_is_offered_only_where_it_is_chosen_already(submit, bare, ledger):
    old = Queue.objects.create(name="Alt", is_active=False)
    assert "default_queue" in submit(default_queue=old.pk).errors
    TicketOptions.objects.create(account=bare, is_enabled=True, default_queue=old, from_date=berlin_today())
    assert submit(default_queue=old.pk).is_valid()


@pytest.mark.parametrize("line", ["kein Absender", "a@b@c", "x@y.example\x00", "Name <a@b.example>"])
def test_a_contact_form_sender_that_is_no_address_is_named(submit, ledger, line):
    form = submit(contact_form_senders=f"gut@x.example\n{line}")
    assert "contact_form_senders" in form.errors


class TestFromDate:
    def test_moving_it_back_shows_how_many_mails_come_before_it_is_saved(self, submit, ledger):
        save(submit())
        ledger.excluded = 1_234
        form = submit(from_date="2026-01-01")
        assert not form.is_valid()
        shown = form["confirm_backlog"].label
        assert re.search(r"\b1[.,]234\b", shown), shown
        assert re.search(r"01\.01\.2026|1 Jan(uary)? 2026", shown), shown
        assert "confirm_backlog" in form.errors
        assert ledger.reopened == []
        assert TicketOptions.objects.get().from_date == berlin_today()

    def test_confirmed_they_come(self, submit, ledger):
        save(submit())
        ledger.excluded = 1_234
        save(submit(from_date="2026-01-01", confirm_backlog="on"))
        assert ledger.reopened == [date(2026, 1, 1)]
        assert TicketOptions.objects.get().from_date == date(2026, 1, 1)

    def test_no_date_means_all_and_is_asked_too(self, submit, ledger):
        save(submit())
        ledger.excluded = 2
        assert "confirm_backlog" in submit(from_date="").errors
        save(submit(from_date="", confirm_backlog="on"))
        assert ledger.reopened == [None]

    def test_a_later_date_brings_nothing_and_asks_nothing(self, submit, ledger):
        save(submit(from_date="2026-01-01"))
        form = submit(from_date="2026-02-01")
        save(form)
        assert "confirm_backlog" not in form.fields
        assert ledger.reopened == []

    def test_an_unchanged_date_is_not_asked_about(self, submit, ledger):
        save(submit())
        ledger.excluded = 5
        save(submit(closes_on_import="on"))
        assert ledger.reopened == []

    def test_switching_on_again_asks_about_what_came_meanwhile(self, submit, ledger):
        save(submit())
        save(submit(is_enabled=""))
        ledger.excluded = 3
        assert "confirm_backlog" in submit().errors


class TestDeletion:
    def test_needs_the_confirmation_and_the_password(self, submit, ledger):
        form = submit(deletes_on_server="on")
        assert set(form.errors) == {"confirm_deletion", "password"}
        assert "password" in submit(deletes_on_server="on", confirm_deletion="on", password="falsch").errors
        assert not TicketOptions.objects.filter(deletes_on_server=True).exists()

    def test_begins_with_now(self, submit, ledger):
        ledger.deletable = 40
        before = timezone.now()
        saved = save(submit(deletes_on_server="on", confirm_deletion="on", password=PASSWORD))
        assert before <= saved.delete_imported_after <= timezone.now()

    def test_going_on_asks_nothing_and_keeps_its_beginning(self, submit, ledger):
        began = save(
            submit(deletes_on_server="on", confirm_deletion="on", password=PASSWORD)
        ).delete_imported_after
        form = submit(deletes_on_server="on", closes_on_import="on")
        assert save(form).delete_imported_after == began
        assert "password" not in form.fields

    def test_switched_off_it_ends_and_starts_anew(self, submit, ledger):
        began = save(
            submit(deletes_on_server="on", confirm_deletion="on", password=PASSWORD)
        ).delete_imported_after
        assert save(submit()).delete_imported_after is None
        again = save(
            submit(deletes_on_server="on", confirm_deletion="on", password=PASSWORD)
        ).delete_imported_after
        assert again > began

    def test_the_backlog_goes_only_on_its_own_counted_confirmation(self, submit, ledger):
        save(submit(deletes_on_server="on", confirm_deletion="on", password=PASSWORD))
        ledger.deletable = 40
        form = submit(deletes_on_server="on", deletes_backlog="on")
        assert set(form.errors) == {"confirm_deletion", "password"}
        assert "40" in form["deletes_backlog"].label
        saved = save(
            submit(deletes_on_server="on", deletes_backlog="on", confirm_deletion="on", password=PASSWORD)
        )
        assert saved.delete_imported_after == datetime(1970, 1, 1, tzinfo=UTC)

    def test_the_backlog_without_the_switch_is_nothing(self, submit, ledger):
        ledger.deletable = 40
        assert save(submit(deletes_backlog="on")).delete_imported_after is None


def test_w2_fields_of_the_model_that_are_no_fields_of_the_form_cannot_be_posted(
    submit, bare, make_account, ledger
):
    other = make_account("andere@brandis.example")
    saved = save(
        submit(account=other.pk, delete_imported_after="2000-01-01 00:00", id=other.ticket_options.pk)
    )
    assert (saved.account, saved.delete_imported_after) == (bare, None)
    assert saved.pk != other.ticket_options.pk


def test_saving_is_audited_and_fences_off_a_running_poll(submit, bare, section, mail_administrator, ledger):
    fenced: list[bool] = []
    form = submit(deletes_on_server="on", confirm_deletion="on", password=PASSWORD)
    assert form.is_valid()
    save_section(
        section=section, form=form, owner=bare, by=mail_administrator, fence=lambda: fenced.append(True)
    )
    entry = AuditEntry.objects.get()
    assert entry.action == "section.tickets"
    assert entry.changes["is_enabled"] == [None, True]
    assert {"deletes_on_server", "delete_imported_after"} <= set(entry.changes)
    assert PASSWORD not in str(entry.changes)
    assert fenced == [True]


def test_only_mail_administrators_see_and_edit_the_section(section, make_user, mail_administrator, bare):
    assert section.may_edit(mail_administrator, bare)
    for user in (make_user("agent"), make_user("staff"), make_user("auditor")):
        assert not section.may_view(user, bare)
        assert not section.may_edit(user, bare)


def test_the_tab_knows_whether_tickets_are_on(section, bare):
    assert not section.is_on(bare)
    TicketOptions.objects.create(account=bare, is_enabled=True)
    assert section.is_on(bare)


def test_inbound_answers_for_the_ledger(bare):
    from inbound import cleanup, exclusion
    from inbound.account_sections import account_sections as _registered

    assert _registered.find("tickets")
    assert seam.backlog.count_excluded is exclusion.count_reopenable
    assert seam.backlog.reopen is exclusion.reopen_excluded
    assert seam.backlog.count_deletable is cleanup.count_deletable
    assert (
        seam.backlog.count_deletable(bare)
        == seam.backlog.count_excluded(bare, berlin_today() - timedelta(1))
        == 0
    )
